import type { WeightDtype } from '../../shaders/snippets/weights.js'
import { SkipstoneError } from '../errors.js'
import type { ModelConfig } from '../model/config.js'
import type { GenerationConfig } from '../model/generation-config.js'
import { mainDtype } from '../model/matrix-dtypes.js'
import type { Engine } from '../runtime/engine.js'
import type { SkipPolicy } from '../skip/policy.js'
import type { PolicyContext } from '../skip/policy-context.js'
import type { SkipProfile } from '../skip/profile.js'
import { type PolicyRequest, resolvePolicy } from '../skip/registry.js'
import type { RouterWeights } from '../skip/router-weights.js'
import type { Calibrator } from '../study/calibrator.js'
import type { Evaluation } from '../study/evaluate.js'
import type { ProfileResult } from '../study/profile.js'
import type { Sweep, SweepOptions } from '../study/sweep.js'
import { type Embeddable, type EmbedInput, type EmbedOptions, idsOf, isOne } from './embed-request.js'
import type { LoadPhase } from './load-phases.js'
import type { DeviceFacts, EvaluateOptions, Model, ProfileOptions } from './model-api.js'
import { ChatCompletions } from './openai/completions.js'
import { Embeddings } from './openai/embeddings.js'
import { TextCompletions } from './openai/text-completions.js'
import type { SessionOptions } from './options.js'
import { EngineSession, type SessionHost } from './session.js'
import { modelDisposed, policyRequest, type SessionParts, sessionParts } from './session-request.js'
import type { SessionState } from './session-state.js'
import type { TextCodec } from './text-codec.js'
import type { TuneOptions, TuneRun } from './tune-api.js'

export interface ModelParts {
  readonly config: ModelConfig
  readonly generation: GenerationConfig
  readonly routers: RouterWeights | undefined
  /** Whether a LoRA was merged while it loaded. */
  readonly merged: boolean
  /** Gates that were trained for it stand in front of those that it was loaded with. */
  tensors: PolicyContext['tensors']
  /** Checked. */
  readonly profile: SkipProfile | undefined
  /** What lies beside the model, where something does. */
  readonly storedProfile: () => Promise<unknown>
  readonly warn: (message: string) => void
  readonly engine: Engine
  readonly loadPhases: readonly LoadPhase[]
  readonly text: TextCodec
  /** Loads the weights onto a new device. */
  readonly reopen: () => Promise<Engine>
}

/** A model on an engine of this thread. */
export class EngineModel implements Model, SessionHost {
  readonly config: ModelConfig
  readonly generation: GenerationConfig
  readonly text: TextCodec
  readonly chat = { completions: new ChatCompletions(this) }
  readonly completions = new TextCompletions(this)
  readonly embeddings = new Embeddings(this)
  #engine: Promise<Engine>
  #current: Engine
  #disposed = false
  /** @internal */
  routers: RouterWeights | undefined
  /** @internal What was measured for the routers. */
  calibrator: Calibrator | undefined
  readonly #sessions = new Set<EngineSession>()

  /** Use `loadModel`. */
  constructor(
    /** @internal */
    readonly parts: ModelParts,
  ) {
    this.config = parts.config
    this.generation = parts.generation
    this.routers = parts.routers
    this.text = parts.text
    this.#current = parts.engine
    this.#engine = Promise.resolve(parts.engine)
  }

  get hasRouters(): boolean {
    return this.routers !== undefined
  }

  get dtype(): WeightDtype {
    return mainDtype(this.#current.weights.dtypes)
  }

  get adapterName(): string {
    return this.#current.gpu.adapterName
  }

  get device(): DeviceFacts {
    const { gpu, choice, activations } = this.#current.target
    return { software: gpu.isSoftware, kernels: choice.form.name, rejected: choice.rejected, activations }
  }

  get loadPhases(): readonly LoadPhase[] {
    return this.parts.loadPhases
  }

  get gpuBytes(): number {
    return this.#current.gpu.memory.bytes
  }

  createSession(options: SessionOptions = {}): EngineSession {
    this.check()
    return this.open(sessionParts(options, this))
  }

  /** @internal */
  open(parts: SessionParts, from?: SessionState): EngineSession {
    const session = new EngineSession(this, parts, () => this.#sessions.delete(session), from)
    this.#sessions.add(session)
    return session
  }

  async evaluate(windows: readonly (readonly number[])[], options: EvaluateOptions = {}): Promise<Evaluation> {
    return this.#study(async (engine) => {
      for (const window of windows) this.checkIds(window)
      const policy = await this.resolve(policyRequest(options.policy, this), engine, options.signal)
      const { evaluate } = await import('../study/evaluate.js')
      return evaluate(engine, policy, windows, { ...options, contextLength: this.config.contextLength })
    })
  }

  async profile(options: ProfileOptions = {}): Promise<ProfileResult> {
    const { tokens = 64, signal, onProgress } = options
    const most = this.config.contextLength - 1
    if (!Number.isInteger(tokens) || tokens < 1 || tokens > most)
      throw new SkipstoneError('bad-option', `tokens is a whole number from 1 to ${most}, not ${String(tokens)}.`)
    return this.#study(async (engine) => {
      const policy = await this.resolve(policyRequest(options.policy, this), engine, signal)
      const { profile } = await import('../study/profile.js')
      return profile(engine, { policy, tokens: [tokens], phases: ['prefill', 'decode'], signal, onProgress })
    })
  }

  embed(input: Embeddable, options?: EmbedOptions): Promise<Float32Array>
  embed(input: readonly Embeddable[], options?: EmbedOptions): Promise<Float32Array[]>
  embed(input: EmbedInput, options?: EmbedOptions): Promise<Float32Array | Float32Array[]>
  async embed(input: EmbedInput, options: EmbedOptions = {}): Promise<Float32Array | Float32Array[]> {
    const { contextLength } = this.config
    return this.#study(async (engine) => {
      const texts = await idsOf(input, this.text, contextLength)
      for (const ids of texts) this.checkIds(ids)
      const { pooling = 'last', normalise = true, signal, onProgress } = options
      const policy = await this.resolve(policyRequest(options.policy, this), engine, signal)
      const { embed } = await import('../study/embed.js')
      const vectors = await embed(engine, policy, texts, { pooling, normalise, contextLength, signal, onProgress })
      return isOne(input) ? (vectors[0] as Float32Array) : vectors
    })
  }

  async calibrate(
    windows?: readonly (readonly number[])[],
    options: Omit<EvaluateOptions, 'policy'> = {},
  ): Promise<SkipProfile> {
    return this.#study(async (engine) => {
      for (const window of windows ?? []) this.checkIds(window)
      return (await this.#measuring()).profile(engine, windows, { ...options, routers: this.parts.routers })
    })
  }

  async sweep(windows: readonly (readonly number[])[], options: SweepOptions = {}): Promise<Sweep> {
    return this.#study(async (engine) => {
      for (const window of windows) this.checkIds(window)
      const { sweep } = await import('../study/sweep.js')
      const resolve = (request: PolicyRequest) => this.resolve(request, engine, options.signal)
      return sweep(engine, windows, { ...options, contextLength: this.config.contextLength, resolve })
    })
  }

  async tune(options: TuneOptions = {}): Promise<TuneRun> {
    return this.#study(async (engine) => (await import('./tune.js')).tune(engine, this, options))
  }

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
    this.check()
    const pending = this.#engine
    const engine = await pending
    if (engine.gpu.isLost) {
      // The first of several callers loads again; the others wait for it.
      if (this.#engine === pending) this.#engine = this.#reopen(pending)
      await this.#engine
    }
    this.check()
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
      layers: this.config.layers,
      hiddenSize: this.config.hiddenSize,
      routers: this.routers,
      tensors: this.parts.tensors,
      resolve: (inner) => this.resolve(inner, engine, signal),
      margins: async (policy) => (await this.#measuring()).margins(engine, policy, signal),
      profile: async () =>
        this.parts.profile ?? (await this.#measuring()).ownProfile(engine, this.parts.storedProfile, signal),
      loss: async (policy, ids) => {
        this.checkIds(ids)
        return (await this.#measuring()).loss(engine, policy, ids, signal)
      },
      once: async (key, find) => (await this.#measuring()).once(key, find),
      calibrate: async (policyAt, budget) => {
        const calibrator = await this.#measuring()
        return calibrator.delta(engine, { key: JSON.stringify(request), policyAt, budget }, signal)
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

  /** What needs no session. Where the model was disposed of meanwhile, that is what is said. */
  async #study<T>(work: (engine: Engine) => Promise<T>): Promise<T> {
    const engine = await this.engine()
    try {
      return await work(engine)
    } catch (error) {
      this.check()
      throw error
    }
  }

  /** Who measures nothing does not load the code for it. */
  async #measuring(): Promise<Calibrator> {
    const { Calibrator } = await import('../study/calibrator.js')
    this.calibrator ??= new Calibrator(this.config.contextLength, this.parts.warn)
    return this.calibrator
  }

  /** @internal @throws `disposed`. */
  check(): void {
    if (this.#disposed) throw modelDisposed()
  }
}
