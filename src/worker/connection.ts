import { SkipstoneError } from '../errors.js'
import { loadEngineModel } from '../sdk/load-model.js'
import type { EngineModel } from '../sdk/model.js'
import type { ProfileOptions } from '../sdk/model-api.js'
import type { ModelSource, Step } from '../sdk/options.js'
import type { PolicyRequest } from '../sdk/policies.js'
import type { EngineSession } from '../sdk/session.js'
import type { ChatMessage, RenderOptions } from '../text/chat-template.js'
import { type Answer, Channel, type Incoming } from './channel.js'
import type { Port } from './port.js'
import type {
  CalibrateArgs,
  CloneArgs,
  EmbedArgs,
  GenerateArgs,
  LoadArgs,
  LoadEvent,
  LostNote,
  ModelFacts,
  ModelNote,
  OpenArgs,
  PolicyArgs,
  SessionNote,
  SweepArgs,
  TuneArgs,
  WarningNote,
  WireSource,
} from './protocol.js'
import { RemoteSource } from './remote-source.js'
import type { Load, SharedModels, Watcher } from './shared-models.js'

interface Held {
  readonly model: EngineModel
  readonly release: () => void
  readonly sessions: Set<number>
}

interface Open {
  readonly session: EngineSession
  readonly model: number
  /** What the page knows already. */
  tokens: number
  positions: number
}

/** The worker's end for one page: its models and sessions, and the answers to its calls. */
export class Connection {
  readonly #channel: Channel
  readonly #models = new Map<number, Held>()
  readonly #sessions = new Map<number, Open>()

  constructor(
    port: Port,
    private readonly shared: SharedModels,
    private readonly gpu: GPU | undefined,
  ) {
    const of =
      <T>(answer: (args: T, incoming: Incoming) => unknown): Answer =>
      (incoming) =>
        answer(incoming.args as T, incoming)
    this.#channel = new Channel(port, {
      hello: of(({ alive }: { alive?: string }) => this.#watch(alive)),
      alive: () => undefined,
      load: of((args: LoadArgs, incoming) => this.#load(args, incoming)),
      unload: of(({ model }: { model: number }) => this.#unload(model)),
      open: of(({ model, session, parts }: OpenArgs) => this.#add(session, model, this.#model(model).open(parts))),
      clone: of(({ session, as }: CloneArgs) => this.#clone(session, as)),
      rewind: of(({ session, length }: { session: number; length: number }) => this.#rewind(session, length)),
      policy: of((args: PolicyArgs, { signal }) => this.#usePolicy(args, signal)),
      close: of(({ session }: { session: number }) => this.#close(session)),
      generate: of((args: GenerateArgs, { signal }) => this.#generate(args, signal)),
      evaluate: of((args: Parameters<Connection['evaluate']>[0], incoming) => this.evaluate(args, incoming)),
      calibrate: of(({ model, windows }: CalibrateArgs, { signal, emit }) => {
        const onProgress = (done: number, all: number) => emit({ done, all })
        return this.#model(model).calibrate(windows, { signal, onProgress })
      }),
      embed: of(({ model, input, options }: EmbedArgs, { signal, emit }) => {
        const onProgress = (done: number, all: number) => emit({ done, all })
        return this.#model(model).embed(input, { ...options, signal, onProgress })
      }),
      profile: of(({ model, options }: { model: number; options: ProfileOptions }, { signal, emit }) => {
        const onProgress = (done: number, all: number) => emit({ done, all })
        return this.#model(model).profile({ ...options, signal, onProgress })
      }),
      sweep: of(({ model, windows, options }: SweepArgs, { signal, emit }) => {
        const onProgress = (done: number, all: number) => emit({ done, all })
        return this.#model(model).sweep(windows, { ...options, signal, onProgress })
      }),
      tune: of(async (args: TuneArgs, incoming) => {
        const { answerTuning } = await import('./tuning.js')
        return answerTuning(this.#held(args.model), args, incoming, () => this.#tellModel(args.model))
      }),
      encode: of(({ model, text, options }: { model: number; text: string; options?: object }) =>
        this.#model(model).text.encode(text, options),
      ),
      decode: of(({ model, ids, options }: { model: number; ids: number[]; options?: object }) =>
        this.#model(model).text.decode(ids, options),
      ),
      pieces: of(({ model, ids, before }: { model: number; ids: number[]; before?: number[] }) =>
        this.#model(model).text.pieces(ids, before),
      ),
      render: of(({ model, messages, options }: { model: number; messages: ChatMessage[]; options?: RenderOptions }) =>
        this.#model(model).text.render(messages, options),
      ),
      template: of(({ model, options }: { model: number; options?: { tools?: boolean } }) =>
        this.#model(model).text.chatTemplate(options),
      ),
    })
  }

  /** Frees what the page had, when it is gone. */
  end(): void {
    this.#channel.close(new SkipstoneError('disposed', 'The page of this worker is gone.'))
    for (const model of [...this.#models.keys()]) this.#unload(model)
  }

  /** A page holds a lock for as long as it lives; whoever gets it afterwards knows that it is gone. */
  #watch(alive: string | undefined): void {
    if (alive === undefined) return
    void globalThis.navigator?.locks?.request(alive, () => this.end())
  }

  async #load(args: LoadArgs, { signal, emit }: Incoming): Promise<ModelFacts> {
    const { model: number, source, routers, lora, ...rest } = args
    const load: Load = (abort, watcher) =>
      loadEngineModel(this.#source(source), {
        ...rest,
        ...(routers !== undefined && { routers: this.#source(routers) }),
        ...(lora !== undefined && { lora: this.#source(lora) }),
        ...(this.gpu && { gpu: this.gpu }),
        signal: abort,
        ...watcher,
      })
    const watcher: Watcher = {
      onProgress: (progress) => emit({ progress } satisfies LoadEvent),
      onWarning: (message) => this.#channel.note('warning', { model: number, message } satisfies WarningNote),
      onDeviceLost: (message) => this.#channel.note('lost', { model: number, message } satisfies LostNote),
    }
    // Files that the user picked are nobody else's.
    const isShared = [source, routers, lora].every((one) => one === undefined || typeof one === 'string')
    const { model: _, ...what } = args
    const key = isShared ? JSON.stringify(what) : `own ${crypto.randomUUID()}`
    const held = await this.shared.use(key, { signal, watcher }, load)
    this.#models.set(number, { ...held, sessions: new Set() })
    this.#tellModel(number)
    const { config, generation, hasRouters } = held.model
    return { config, generation, hasRouters }
  }

  #source(source: WireSource): ModelSource {
    if (typeof source === 'string' || !('source' in source)) return source
    return new RemoteSource(this.#channel, source.source, source.description)
  }

  #unload(number: number): void {
    const held = this.#models.get(number)
    if (!held) return
    for (const session of held.sessions) this.#close(session)
    this.#models.delete(number)
    held.release()
  }

  #add(number: number, model: number, session: EngineSession, known = { tokens: 0, positions: 0 }): void {
    this.#sessions.set(number, { session, model, ...known })
    this.#models.get(model)?.sessions.add(number)
  }

  #clone(number: number, as: number): void {
    const { session, model, tokens, positions } = this.#open(number)
    this.#add(as, model, session.clone(), { tokens, positions })
    this.#tellModel(model)
  }

  #rewind(number: number, length: number): void {
    const open = this.#open(number)
    open.session.rewind(length)
    open.tokens = Math.min(open.tokens, length)
    open.positions = Math.min(open.positions, length)
    this.#tell(number, open)
  }

  async #usePolicy({ session: number, request }: PolicyArgs, signal: AbortSignal): Promise<void> {
    const open = this.#open(number)
    await open.session.usePolicy(request, { signal })
    // It may have to read the conversation again.
    open.positions = Math.min(open.positions, open.session.state.trace.length)
    this.#tell(number, open)
  }

  #close(number: number): void {
    const open = this.#sessions.get(number)
    if (!open) return
    this.#sessions.delete(number)
    this.#models.get(open.model)?.sessions.delete(number)
    open.session.dispose()
    this.#tellModel(open.model)
  }

  async *#generate({ session: number, input, options }: GenerateArgs, signal: AbortSignal): AsyncGenerator<Step, void> {
    const open = this.#open(number)
    const { session } = open
    const steps =
      'prompt' in input
        ? session.generate(input.prompt, { ...options, signal })
        : session.chat(input.messages, { ...options, signal })
    try {
      for await (const step of steps) {
        if (step.kind === 'prompt') {
          // It may have been fed from an earlier position than the page knows.
          open.tokens = Math.min(open.tokens, step.position)
          open.positions = Math.min(open.positions, step.position)
        }
        this.#tell(number, open)
        yield step
      }
    } finally {
      this.#tell(number, open)
    }
  }

  /** Teacher-forced loss; see `Model.evaluate`. */
  private async evaluate(
    args: { model: number; windows: readonly (readonly number[])[]; policy: PolicyRequest; ends?: ReadonlySet<number> },
    { signal, emit }: Incoming,
  ): Promise<unknown> {
    const { model, windows, ...options } = args
    const onProgress = (done: number, all: number) => emit({ done, all })
    return this.#model(model).evaluate(windows, { ...options, signal, onProgress })
  }

  /** Tells the page what changed of a session and of its model. */
  #tell(number: number, open: Open): void {
    // A session that was disposed of in the meantime is of no interest, but what it has freed is.
    if (this.#sessions.has(number)) {
      const { state } = open.session
      const change = state.since(open.tokens, open.positions)
      open.tokens = state.tokens.length
      open.positions = state.trace.length
      this.#channel.note('session', { session: number, change } satisfies SessionNote)
    }
    this.#tellModel(open.model)
  }

  #tellModel(number: number): void {
    const model = this.#models.get(number)?.model
    if (!model) return
    const { dtype, adapterName, device, loadPhases, gpuBytes } = model
    const state = { dtype, adapterName, device, loadPhases, gpuBytes }
    this.#channel.note('model', { model: number, state } satisfies ModelNote)
  }

  #model(number: number): EngineModel {
    return this.#held(number).model
  }

  #held(number: number): Held {
    const held = this.#models.get(number)
    if (!held) throw new SkipstoneError('disposed', 'This model was disposed of: load it again.')
    return held
  }

  #open(number: number): Open {
    const open = this.#sessions.get(number)
    if (!open) {
      throw new SkipstoneError('disposed', 'This session was disposed of: create another one on the model.')
    }
    return open
  }
}
