import type { WeightDtype } from '../../shaders/snippets/weights.js'
import type { ModelConfig } from '../model/config.js'
import type { GenerationConfig } from '../model/generation-config.js'
import type { Embeddable, EmbedInput, EmbedOptions } from '../sdk/embed-request.js'
import type { LoadPhase } from '../sdk/load-phases.js'
import type { DeviceFacts, EvaluateOptions, Model, ProfileOptions } from '../sdk/model-api.js'
import { ChatCompletions } from '../sdk/openai/completions.js'
import { Embeddings } from '../sdk/openai/embeddings.js'
import { TextCompletions } from '../sdk/openai/text-completions.js'
import type { SessionOptions } from '../sdk/options.js'
import { modelDisposed, policyRequest, type SessionParts, sessionParts } from '../sdk/session-request.js'
import type { SessionState } from '../sdk/session-state.js'
import type { TuneOptions, TuneRun } from '../sdk/tune-api.js'
import type { SkipProfile } from '../skip/profile.js'
import type { Evaluation } from '../study/evaluate.js'
import type { ProfileResult } from '../study/profile.js'
import type { Sweep, SweepOptions } from '../study/sweep.js'
import type { Channel } from './channel.js'
import type { CalibrateArgs, CloneArgs, ModelFacts, ModelState } from './protocol.js'
import { type SessionOwner, WorkerSession } from './session.js'
import { WorkerText } from './text.js'

/** Numbers of a page's models and sessions at one worker, and the sessions that the worker tells of. */
export interface Numbers {
  next(): number
  readonly sessions: Map<number, WorkerSession>
}

interface Progressing {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((done: number, all: number) => void) | undefined
}

/** A model whose engine is in a worker. */
export class WorkerModel implements Model, SessionOwner {
  readonly config: ModelConfig
  readonly generation: GenerationConfig
  hasRouters: boolean
  readonly text: WorkerText
  readonly chat = { completions: new ChatCompletions(this) }
  readonly completions = new TextCompletions(this)
  readonly embeddings = new Embeddings(this)
  readonly #sessions = new Set<WorkerSession>()
  #disposed = false

  constructor(
    readonly channel: Channel,
    private readonly number: number,
    facts: ModelFacts,
    private readonly state: { current: ModelState },
    private readonly numbers: Numbers,
    private readonly onDispose: () => void,
  ) {
    this.config = facts.config
    this.generation = facts.generation
    this.hasRouters = facts.hasRouters
    this.text = new WorkerText(channel, number, () => this.check())
  }

  get dtype(): WeightDtype {
    return this.state.current.dtype
  }

  get adapterName(): string {
    return this.state.current.adapterName
  }

  get device(): DeviceFacts {
    return this.state.current.device
  }

  get loadPhases(): readonly LoadPhase[] {
    return this.state.current.loadPhases
  }

  get gpuBytes(): number {
    return this.#disposed ? 0 : this.state.current.gpuBytes
  }

  createSession(options: SessionOptions = {}): WorkerSession {
    this.check()
    const parts = sessionParts(options, this)
    const session = this.#add(parts)
    this.channel.note('open', { model: this.number, session: session.number, parts })
    return session.made
  }

  open(parts: SessionParts, from: SessionState, clone: (as: number) => CloneArgs): WorkerSession {
    const { made, number } = this.#add(parts, from)
    this.channel.note('clone', clone(number))
    return made
  }

  async evaluate(windows: readonly (readonly number[])[], options: EvaluateOptions = {}): Promise<Evaluation> {
    this.check()
    const policy = policyRequest(options.policy, this)
    return this.#study('evaluate', { model: this.number, windows, policy, ends: options.ends }, options)
  }

  async profile({ policy, signal, onProgress, ...rest }: ProfileOptions = {}): Promise<ProfileResult> {
    this.check()
    const options = { ...rest, policy: policyRequest(policy, this) }
    return this.#study('profile', { model: this.number, options }, { signal, onProgress })
  }

  embed(input: Embeddable, options?: EmbedOptions): Promise<Float32Array>
  embed(input: readonly Embeddable[], options?: EmbedOptions): Promise<Float32Array[]>
  embed(input: EmbedInput, options?: EmbedOptions): Promise<Float32Array | Float32Array[]>
  async embed(input: EmbedInput, options: EmbedOptions = {}): Promise<Float32Array | Float32Array[]> {
    this.check()
    const { signal, onProgress, policy, ...rest } = options
    const wanted = { ...rest, policy: policyRequest(policy, this) }
    return this.#study('embed', { model: this.number, input, options: wanted }, { signal, onProgress })
  }

  async calibrate(
    windows?: readonly (readonly number[])[],
    options: Omit<EvaluateOptions, 'policy'> = {},
  ): Promise<SkipProfile> {
    this.check()
    return this.#study('calibrate', { model: this.number, windows } satisfies CalibrateArgs, options)
  }

  async tune(options: TuneOptions = {}): Promise<TuneRun> {
    this.check()
    const { tuneInWorker } = await import('./tune-run.js')
    const routed = () => {
      this.hasRouters = true
    }
    const { channel, number: model } = this
    return tuneInWorker({ channel, model, run: this.numbers.next(), routed, check: () => this.check() }, options)
  }

  async sweep(
    windows: readonly (readonly number[])[],
    { signal, onProgress, ...options }: SweepOptions = {},
  ): Promise<Sweep> {
    this.check()
    return this.#study('sweep', { model: this.number, windows, options }, { signal, onProgress })
  }

  /** Calls what needs no session and tells how far it is. */
  async #study<T>(method: string, args: object, { signal, onProgress }: Progressing): Promise<T> {
    const onEvent = onProgress && (({ done, all }: { done: number; all: number }) => onProgress(done, all))
    try {
      return await this.channel.call<T>(method, args, { signal, onEvent })
    } catch (error) {
      this.check()
      throw error
    }
  }

  dispose(): void {
    if (this.#disposed) return
    for (const session of [...this.#sessions]) session.dispose()
    this.#disposed = true
    this.channel.note('unload', { model: this.number })
    this.onDispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose()
  }

  check(): void {
    if (this.#disposed) throw modelDisposed()
  }

  #add(parts: SessionParts, from?: SessionState): { made: WorkerSession; number: number } {
    const number = this.numbers.next()
    const made: WorkerSession = new WorkerSession(
      this,
      number,
      parts,
      this.config.layers,
      () => {
        this.#sessions.delete(made)
        this.numbers.sessions.delete(number)
      },
      from,
    )
    this.#sessions.add(made)
    this.numbers.sessions.set(number, made)
    return { made, number }
  }
}
