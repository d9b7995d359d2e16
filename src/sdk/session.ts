import { SkipstoneError } from '../errors.js'
import type { ModelConfig } from '../model/config.js'
import type { GenerationConfig } from '../model/generation-config.js'
import type { Engine } from '../runtime/engine.js'
import { generateTokens } from '../runtime/generate.js'
import type { TokenEvent } from '../runtime/generation.js'
import type { StepRecord } from '../runtime/records.js'
import { checkSampling, type Sampling } from '../runtime/sampling.js'
import { Sequence } from '../runtime/sequence.js'
import type { TraceFile } from '../runtime/trace.js'
import type { SkipPolicy } from '../skip/policy.js'
import type { PolicyRequest } from '../skip/registry.js'
import type { ChatMessage } from '../text/chat-template.js'
import type { TextTokenizer } from '../text/tokenizer.js'
import { Continuation } from './continuation.js'
import type { ChatOptions, FinishReason, GenerateOptions, PromptStep, Step } from './options.js'
import {
  checkOverflow,
  fitPrompt,
  longestPrompt,
  type Prompt,
  type Room,
  shared,
  slid,
  withOtherFirst,
  withoutOldestTurn,
} from './overflow.js'
import type { Session, SessionStats } from './session-api.js'
import { busy, busyReading, checkRewind, policyRequest, type SessionParts, sessionDisposed } from './session-request.js'
import { SessionState } from './session-state.js'
import type { TextCodec } from './text-codec.js'
import { checkLogprobs, withTexts } from './token-logprobs.js'

/** What a session needs of its model. */
export interface SessionHost {
  readonly config: ModelConfig
  readonly generation: GenerationConfig
  readonly hasRouters: boolean
  readonly text: TextCodec
  /** The engine on a live device. */
  engine(): Promise<Engine>
  /** Joins a policy request with the model's weights. */
  resolve(request: PolicyRequest, engine: Engine, signal?: AbortSignal): Promise<SkipPolicy>
  /** @throws `bad-option` for ids that the model does not have. */
  checkIds(ids: readonly number[]): void
  /** Another session of this model. */
  open(parts: SessionParts, from?: SessionState): EngineSession
}

type GeneratedToken = Extract<TokenEvent, { kind: 'token' }>

/** A session on an engine of this thread. */
export class EngineSession implements Session {
  #sequence: Sequence | undefined
  #busy = false
  #disposed = false
  readonly #state: SessionState
  #request: PolicyRequest

  /** Use `model.createSession`. */
  constructor(
    private readonly model: SessionHost,
    private readonly parts: SessionParts,
    private readonly onDispose: () => void,
    from?: SessionState,
  ) {
    this.#state = new SessionState(model.config.layers, from)
    this.#request = parts.request
  }

  get contextLength(): number {
    return this.parts.contextLength
  }

  get tokens(): readonly number[] {
    return this.#state.tokens
  }

  async *generate(prompt: string | readonly number[], options: GenerateOptions = {}): AsyncGenerator<Step, void> {
    yield* this.#exclusively(async () => {
      const before = this.#state.tokens
      if (typeof prompt !== 'string') return this.#prompt([...before, ...prompt])
      if (prompt === '') throw emptyPrompt()
      const tokenizer = await this.model.text.tokenizer()
      return this.#prompt([...before, ...tokenizer.encode(prompt, { addSpecialTokens: before.length === 0 })])
    }, options)
  }

  async *chat(messages: readonly ChatMessage[], options: ChatOptions = {}): AsyncGenerator<Step, void> {
    yield* this.#exclusively(async (room) => {
      const tokenizer = await this.model.text.tokenizer()
      const encode = async (chat: readonly ChatMessage[]) =>
        tokenizer.encode(await this.model.text.render(chat, { tools: options.tools }), { addSpecialTokens: false })
      let kept = messages
      for (;;) {
        const ids = await encode(kept)
        const shorter = ids.length > longestPrompt(room) ? withoutOldestTurn(kept) : undefined
        if (!shorter) {
          const other = room.overflow === 'error' ? undefined : withOtherFirst(kept)
          return this.#prompt(ids, other && shared(ids, await encode(other)))
        }
        kept = shorter
      }
    }, options)
  }

  async append(prompt: string | readonly number[], options: { signal?: AbortSignal } = {}): Promise<PromptStep> {
    // The prompt comes first, and nothing behind it is asked for.
    for await (const step of this.generate(prompt, { ...options, maxTokens: 1 }))
      if (step.kind === 'prompt') return step
    throw new SkipstoneError('internal', 'A generation ended before its prompt was read; please report this.')
  }

  clone(): EngineSession {
    this.#check()
    if (this.#busy) throw busy()
    const copy = this.model.open({ ...this.parts, request: this.#request }, this.#state)
    copy.#sequence = this.#sequence?.clone()
    return copy
  }

  rewind(length: number): void {
    this.#check()
    if (this.#busy) throw busy()
    checkRewind(length)
    this.#state.tokens.length = Math.min(this.#state.tokens.length, length)
    this.#keep(length)
  }

  async usePolicy(policy: PolicyRequest | string, options: { signal?: AbortSignal } = {}): Promise<void> {
    this.#check()
    const request = policyRequest(policy, this.model)
    const engine = await this.model.engine()
    const resolved = await this.model.resolve(request, engine, options.signal)
    this.#check()
    // A sequence that is not there yet begins with it.
    if (this.#sequence?.engine === engine) {
      if (this.#sequence.lacks(resolved)) {
        if (this.#busy) throw busyReading(resolved.name)
        // The next call reads the conversation again.
        this.#keep(0)
      }
      this.#sequence.usePolicy(resolved)
    }
    this.#request = request
  }

  /** @internal */
  get state(): SessionState {
    // The sequence goes on counting.
    this.#state.streaming = this.#sequence?.streams ? this.#sequence.traffic : undefined
    this.#state.speculation = this.#sequence?.speculation
    return this.#state
  }

  stats(): SessionStats {
    return this.state.stats()
  }

  trace(): TraceFile {
    return this.#state.file()
  }

  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    this.#sequence?.destroy()
    this.#sequence = undefined
    this.onDispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose()
  }

  async *#exclusively(wanted: (room: Room) => Promise<Prompt>, options: GenerateOptions): AsyncGenerator<Step, void> {
    this.#check()
    if (this.#busy) throw busy()
    this.#busy = true
    try {
      const room = {
        overflow: checkOverflow(options.overflow ?? this.parts.overflow),
        contextLength: this.parts.contextLength,
        maxTokens: checkMaxTokens(options.maxTokens),
      }
      const prompt = await wanted(room)
      yield* this.#run({ ...prompt, tokens: fitPrompt(prompt, room) }, room, options)
    } finally {
      this.#busy = false
    }
  }

  async *#run(
    { tokens, begins }: Prompt,
    { overflow, contextLength, maxTokens }: Room,
    options: GenerateOptions,
  ): AsyncGenerator<Step, void> {
    const sampling = this.#sampling(options)
    if (options.format && options.ignoreEos) {
      throw new SkipstoneError('bad-option', 'A text with a format ends at a stop token: leave ignoreEos out.')
    }
    if (tokens.length === 0) throw emptyPrompt()
    this.model.checkIds(tokens)
    if (tokens.length > contextLength) {
      throw new SkipstoneError(
        'context-full',
        `The conversation has ${tokens.length} tokens, but the context holds ${contextLength}: shorten the prompt or rewind the session.`,
      )
    }
    const { stepsPerSubmit, logprobs, promptLogprobs } = options
    checkLogprobs({ logprobs, promptLogprobs })
    if (stepsPerSubmit !== undefined && !(Number.isInteger(stepsPerSubmit) && stepsPerSubmit >= 1)) {
      throw new SkipstoneError(
        'bad-option',
        `stepsPerSubmit must be a whole number, 1 or more, not ${String(stepsPerSubmit)}.`,
      )
    }
    const stops = typeof options.stop === 'string' ? [options.stop] : (options.stop ?? [])
    // Ids alone need no tokenizer: the text then stays empty.
    const tokenizer = await this.model.text.tokenizer().catch((error: unknown) => {
      if (error instanceof SkipstoneError && error.code === 'not-found' && stops.length === 0 && !options.format)
        return undefined
      throw error
    })
    const { stopIds } = sampling
    const constraint =
      options.format &&
      tokenizer &&
      (await (
        await import('./format-constraint.js')
      ).formatConstraint(options.format, {
        tokenizer,
        stopIds,
        vocabSize: this.model.config.vocabSize,
      }))
    const continuation = new Continuation(tokenizer, tokens, { stops, spelled: options.specialTokens })
    const engine = await this.model.engine()
    const sequence = await this.#live(engine, options.signal)
    await sequence.prepare('first token')

    const before = [...this.#state.tokens]
    const generated: number[] = []
    let slides = 0
    let finishReason: FinishReason = 'length'
    let prompted = false
    const started = performance.now()
    let promptRead = started
    let decodeStarted = started
    let promptTokens = 0
    try {
      let context = tokens
      for (;;) {
        const fed = this.#replay(context)
        const fresh = context.slice(fed)
        if (slides === 0) promptTokens = fresh.length
        let lastRecord: StepRecord | undefined
        const events = generateTokens(sequence, fresh, {
          // The same positions again, but not the same lots.
          sampling: { ...sampling, seed: sampling.seed + slides },
          maxTokens: maxTokens - generated.length,
          contextLength,
          seen: context.slice(0, fed),
          signal: options.signal,
          logits: options.logits ?? false,
          logprobs,
          promptLogprobs: slides === 0 ? promptLogprobs : undefined,
          stepsPerSubmit,
          constraint,
        })
        for await (const event of events) {
          if (event.kind === 'prompt') {
            if (!prompted) promptRead = decodeStarted = performance.now()
            prompted = true
            this.#state.trace.push(...event.records)
            yield {
              kind: 'prompt',
              text: '',
              tokens: fresh,
              position: fed,
              executed: concatenate(event.records),
              ...(this.parts.margins && { margins: concatenateMargins(event.records) }),
              ...(event.logits && { logits: event.logits }),
              ...(slides === 0 && promptLogprobs !== undefined && { logprobs: ofPrompt(tokenizer, fresh, event) }),
            }
            continue
          }
          // The record of the prompt's last position came with the prompt.
          if (lastRecord) this.#state.trace.push(event.record)
          lastRecord = event.record
          if (event.kind === 'stop') {
            finishReason = 'stop'
            break
          }
          const position = this.#state.trace.length - 1
          this.#state.tokens.push(event.token)
          generated.push(event.token)
          const { text, stopped } = continuation.push(event.token)
          if (stopped) finishReason = 'stop'
          if (!stopped || text) yield tokenStep(event, position, text, tokenizer)
          if (stopped) break
          if (generated.length === 1 && maxTokens > 1) {
            await sequence.prepare('all')
            decodeStarted = performance.now()
          }
        }
        if (overflow !== 'slide' || finishReason === 'stop' || generated.length >= maxTokens) break
        context = slid({ tokens: this.#state.tokens, begins }, contextLength)
        slides++
      }
      const text = continuation.finish()
      const surplus = generated.length - continuation.kept
      generated.length = continuation.kept
      this.#state.tokens.length = Math.max(0, this.#state.tokens.length - surplus)
      yield { kind: 'end', text, executed: new Uint32Array(0), finishReason, tokens: [...generated] }
    } catch (error) {
      if (!prompted) this.#state.tokens.splice(0, this.#state.tokens.length, ...before)
      this.#check()
      throw error
    } finally {
      const ended = performance.now()
      // Waiting for what decodes to be compiled counts for neither.
      const prefillMs = promptRead - started
      const decodeMs = ended - decodeStarted
      this.#state.timings = {
        prefillMs,
        decodeMs,
        prefillTokensPerSecond: (1000 * promptTokens) / prefillMs,
        // The first token is the prefill's.
        decodeTokensPerSecond: generated.length > 1 ? (1000 * (generated.length - 1)) / decodeMs : 0,
      }
      this.#keep(this.#state.tokens.length)
    }
  }

  #prompt(tokens: readonly number[], begin = 0): Prompt {
    const bos = this.model.config.bosTokenId
    return { tokens, begins: bos !== undefined && tokens[0] === bos ? [Math.max(begin, 1), 1] : [begin] }
  }

  /** Makes the conversation `tokens`, and tells how many of them need not be fed: never the last one, whose result chooses the next. */
  #replay(tokens: readonly number[]): number {
    this.#keep(Math.min(shared(tokens, this.#state.tokens), tokens.length - 1))
    this.#state.tokens.splice(0, this.#state.tokens.length, ...tokens)
    return this.#sequence?.length ?? 0
  }

  /** Forgets positions from `length` on in the cache and in the trace, and keeps the two in step. */
  #keep(length: number): void {
    const kept = Math.min(length, this.#sequence?.length ?? 0, this.#state.trace.length)
    this.#state.trace.rewind(kept)
    this.#sequence?.rewind(kept)
  }

  /** The sequence on this engine; on a new device it starts empty, and the conversation is fed again. */
  async #live(engine: Engine, signal: AbortSignal | undefined): Promise<Sequence> {
    if (this.#sequence?.engine === engine) return this.#sequence
    const policy = await this.model.resolve(this.#request, engine, signal)
    this.#check()
    this.#sequence = new Sequence(engine, policy, {
      contextLength: this.parts.contextLength,
      margins: this.parts.margins,
    })
    this.#state.trace.rewind(0)
    return this.#sequence
  }

  #sampling(o: GenerateOptions): Sampling {
    const { generation, config } = this.model
    // A model whose authors decode greedily ignores the sampling settings that they left in the file.
    const defaults = generation.doSample === false ? undefined : generation
    const stops = generation.eosTokenIds.length > 0 ? generation.eosTokenIds : config.eosTokenIds
    const sampling: Sampling = {
      temperature: o.temperature ?? (generation.doSample ? (defaults?.temperature ?? 1) : 0),
      topK: o.topK ?? defaults?.topK ?? 0,
      topP: o.topP ?? defaults?.topP ?? 1,
      minP: o.minP ?? defaults?.minP ?? 0,
      repetitionPenalty: o.repetitionPenalty ?? defaults?.repetitionPenalty ?? 1,
      logitBias: o.logitBias,
      presencePenalty: o.presencePenalty,
      frequencyPenalty: o.frequencyPenalty,
      seed: o.seed ?? 0,
      stopIds: o.ignoreEos ? [] : stops,
    }
    checkSampling(sampling, config.vocabSize)
    return sampling
  }

  #check(): void {
    if (this.#disposed) throw sessionDisposed()
  }
}

function tokenStep(
  { token, record, logprobs }: GeneratedToken,
  position: number,
  text: string,
  tokenizer: TextTokenizer | undefined,
): Step {
  return {
    kind: 'token',
    text,
    token,
    position,
    executed: record.bits,
    ...(record.margins && { margins: record.margins }),
    ...(logprobs && { logprobs: withTexts(tokenizer, token, logprobs) }),
  }
}

function ofPrompt(
  tokenizer: TextTokenizer | undefined,
  ids: readonly number[],
  { logprobs }: Extract<TokenEvent, { kind: 'prompt' }>,
): PromptStep['logprobs'] {
  return [null, ...logprobs.map((one, i) => withTexts(tokenizer, ids[i + 1] as number, one))]
}

function concatenate(records: readonly StepRecord[]): Uint32Array {
  return Uint32Array.from(records.flatMap((r) => Array.from(r.bits)))
}

function concatenateMargins(records: readonly StepRecord[]): Float32Array {
  return Float32Array.from(records.flatMap((r) => Array.from(r.margins ?? [])))
}

function checkMaxTokens(maxTokens = Number.POSITIVE_INFINITY): number {
  if (maxTokens === Number.POSITIVE_INFINITY || (Number.isInteger(maxTokens) && maxTokens >= 1)) return maxTokens
  throw new SkipstoneError('bad-option', `maxTokens must be a whole number, 1 or more, not ${maxTokens}.`)
}

function emptyPrompt(): SkipstoneError {
  return new SkipstoneError(
    'bad-option',
    'The prompt is empty: give some text, or token ids (the BOS id alone lets the model begin by itself).',
  )
}
