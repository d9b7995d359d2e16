import type { WeightDtype } from '../../shaders/snippets/weights.js'
import { SkipstoneError } from '../errors.js'
import type { ModelConfig } from '../model/config.js'
import type { GenerationConfig } from '../model/generation-config.js'
import { mainDtype } from '../model/matrix-dtypes.js'
import type { Engine } from '../runtime/engine.js'
import type { SkipPolicy } from '../skip/policy.js'
import { checkPolicy, type PolicyRequest, resolvePolicy } from '../skip/registry.js'
import type { RouterWeights } from '../skip/router-weights.js'
import { calibrateDelta, sampleText } from '../study/budget.js'
import { type Evaluation, evaluate } from '../study/evaluate.js'
import { ChatCompletions, TextCompletions } from './openai/completions.js'
import type { SessionOptions } from './options.js'
import { policy as policyFromText } from './policies.js'
import { Session, type SessionHost, type SessionParts } from './session.js'
import type { TextCodec } from './text-codec.js'

export interface ModelParts {
  readonly config: ModelConfig
  readonly generation: GenerationConfig
  readonly routers: RouterWeights | undefined
  readonly engine: Engine
  readonly text: TextCodec
  /** Loads the weights onto a new device. */
  readonly reopen: () => Promise<Engine>
}

/** A loaded model. Sessions share its weights. */
export class Model implements SessionHost {
  readonly config: ModelConfig
  readonly generation: GenerationConfig
  /** Whether SkipGPT routers were loaded with it. */
  readonly hasRouters: boolean
  /** Tokenizer and chat template. */
  readonly text: TextCodec
  /** OpenAI's chat completions: `model.chat.completions.create({ messages, stream })`. */
  readonly chat = { completions: new ChatCompletions(this) }
  /** OpenAI's text completions: `model.completions.create({ prompt, stream })`. */
  readonly completions = new TextCompletions(this)
  #engine: Promise<Engine>
  #current: Engine
  #disposed = false
  #calibrationText: Promise<number[]> | undefined
  readonly #deltas = new Map<string, Promise<number>>()
  readonly #sessions = new Set<Session>()

  /** Use `loadModel`. */
  constructor(private readonly parts: ModelParts) {
    this.config = parts.config
    this.generation = parts.generation
    this.hasRouters = parts.routers !== undefined
    this.text = parts.text
    this.#current = parts.engine
    this.#engine = Promise.resolve(parts.engine)
  }

  /** How most weights are held on the GPU; a GGUF file may mix forms. */
  get dtype(): WeightDtype {
    return mainDtype(this.#current.weights.dtypes)
  }

  /** Name of the GPU adapter in use. */
  get adapterName(): string {
    return this.#current.gpu.adapterName
  }

  /** Bytes in live GPU buffers of this model and its sessions; 0 after `dispose()`. */
  get gpuBytes(): number {
    return this.#current.gpu.memory.bytes
  }

  /**
   * A new conversation.
   * @throws `unknown-policy`, `bad-option`, `missing-weights` (a policy without its routers), `disposed`.
   */
  createSession(options: SessionOptions = {}): Session {
    this.#check()
    const request = this.#request(options.policy)
    const contextLength = options.contextLength ?? this.config.contextLength
    if (!Number.isInteger(contextLength) || contextLength < 1 || contextLength > this.config.contextLength) {
      throw new SkipstoneError(
        'bad-option',
        `contextLength must be a whole number from 1 to ${this.config.contextLength}, not ${contextLength}.`,
      )
    }
    return this.open({ request, contextLength, margins: options.margins ?? false })
  }

  /** @internal */
  open(parts: SessionParts): Session {
    const session = new Session(this, parts, () => this.#sessions.delete(session))
    this.#sessions.add(session)
    return session
  }

  /** Teacher-forced loss of a policy over windows of token ids (see study/evaluate.ts). */
  async evaluate(
    windows: readonly (readonly number[])[],
    options: {
      policy?: PolicyRequest | string
      signal?: AbortSignal
      onProgress?: (done: number, all: number) => void
    } = {},
  ): Promise<Evaluation> {
    const engine = await this.engine()
    for (const window of windows) this.checkIds(window)
    try {
      const policy = await this.resolve(this.#request(options.policy), engine, options.signal)
      return await evaluate(engine, policy, windows, { ...options, contextLength: this.config.contextLength })
    } catch (error) {
      this.#check()
      throw error
    }
  }

  /** Frees everything; later calls on the model or its sessions fail with `disposed`. */
  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    for (const session of [...this.#sessions]) session.dispose()
    this.#current.destroy()
    this.#current.gpu.destroy()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose()
  }

  /**
   * The engine on a live device: after a loss, the weights are loaded again onto a new one.
   * @internal
   */
  async engine(): Promise<Engine> {
    this.#check()
    const pending = this.#engine
    const engine = await pending
    if (engine.gpu.isLost) {
      // The first of several callers loads again; the others wait for it.
      if (this.#engine === pending) this.#engine = this.#reopen(pending)
      await this.#engine
    }
    this.#check()
    return this.#engine
  }

  async #reopen(lost: Promise<Engine>): Promise<Engine> {
    try {
      const reopened = await this.parts.reopen()
      if (this.#disposed) {
        reopened.destroy()
        reopened.gpu.destroy()
      }
      this.#current = reopened
      return reopened
    } catch (error) {
      // The next call tries again.
      this.#engine = lost
      throw error
    }
  }

  /** @internal */
  async resolve(request: PolicyRequest, engine: Engine, signal?: AbortSignal): Promise<SkipPolicy> {
    return resolvePolicy(request, {
      routers: this.parts.routers,
      calibrate: (policyAt, budget) => {
        const key = JSON.stringify(request)
        const known = this.#deltas.get(key)
        if (known) return known
        const found = this.#calibrate(engine, policyAt, budget, signal)
        this.#deltas.set(key, found)
        found.catch(() => this.#deltas.delete(key))
        return found
      },
    })
  }

  /** @internal @throws `bad-option` for ids that the model does not have. */
  checkIds(ids: readonly number[]): void {
    const bad = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= this.config.vocabSize)
    if (bad !== undefined) {
      throw new SkipstoneError(
        'bad-option',
        `${bad} is not a token id of this model: ids are whole numbers from 0 to ${this.config.vocabSize - 1}.`,
      )
    }
  }

  async #calibrate(
    engine: Engine,
    policyAt: (delta: number) => SkipPolicy,
    budget: number,
    signal: AbortSignal | undefined,
  ): Promise<number> {
    const contextLength = this.config.contextLength
    this.#calibrationText ??= sampleText(engine, contextLength, signal)
    const ids = await this.#calibrationText.catch((error: unknown) => {
      this.#calibrationText = undefined
      throw error
    })
    return calibrateDelta(engine, policyAt, budget, ids, { contextLength, signal })
  }

  #request(policy: PolicyRequest | string | undefined): PolicyRequest {
    const request = policy === undefined ? 'dense' : policy
    const checked = typeof request === 'string' ? policyFromText(request) : checkPolicy(request)
    if (checked.name === 'skipgpt' && !this.hasRouters) {
      throw new SkipstoneError(
        'missing-weights',
        'The policy "skipgpt" needs router weights: load the model with the option `routers`.',
      )
    }
    return checked
  }

  #check(): void {
    if (this.#disposed) throw new SkipstoneError('disposed', 'This model was disposed of: load it again.')
  }
}
