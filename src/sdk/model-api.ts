import type { WeightDtype } from '../../shaders/snippets/weights.js'
import type { ModelConfig } from '../model/config.js'
import type { GenerationConfig } from '../model/generation-config.js'
import type { Activations } from '../runtime/activations.js'
import type { SkipProfile } from '../skip/profile.js'
import type { Evaluation } from '../study/evaluate.js'
import type { ProfileResult } from '../study/profile.js'
import type { Sweep, SweepOptions } from '../study/sweep.js'
import type { Embeddable, EmbedInput, EmbedOptions } from './embed-request.js'
import type { LoadPhase } from './load-phases.js'
import type { ChatCompletions } from './openai/completions.js'
import type { Embeddings } from './openai/embeddings.js'
import type { TextCompletions } from './openai/text-completions.js'
import type { SessionOptions } from './options.js'
import type { PolicyRequest } from './policies.js'
import type { Session } from './session-api.js'
import type { ModelText } from './text-api.js'
import type { TuneOptions, TuneRun } from './tune-api.js'

export interface EvaluateOptions {
  /** What to skip. Default: nothing. */
  policy?: PolicyRequest | string
  /** Ids behind which nothing counts, as `TuneRun.evaluate` counts its windows: what follows an end was not drawn from what is before it. */
  ends?: ReadonlySet<number>
  signal?: AbortSignal
  /** Windows done and to do. */
  onProgress?: (done: number, all: number) => void
}

export interface ProfileOptions {
  /** Tokens of the prompt, and the context of the decode step. Default 64. */
  tokens?: number
  /** What to skip. Default: nothing. */
  policy?: PolicyRequest | string
  signal?: AbortSignal
  /** Rounds done and to do. */
  onProgress?: (done: number, all: number) => void
}

/** How a model's device runs it. */
export interface DeviceFacts {
  /** The adapter computes on the CPU: everything works, slowly. */
  readonly software: boolean
  /** The kernel forms that were chosen for it, and passed the self-test against the CPU's results. */
  readonly kernels: string
  /** Forms that failed it. */
  readonly rejected: readonly string[]
  /** What meets weights in q8 or q4 when tokens are generated: activations as they are, or in 8 bits where the load asked for it. */
  readonly activations: Activations
}

/** A loaded model. Sessions share its weights. Made by `loadModel`. */
export interface Model {
  readonly config: ModelConfig
  readonly generation: GenerationConfig
  /** Whether SkipGPT routers were loaded with it. */
  readonly hasRouters: boolean
  readonly text: ModelText
  /** OpenAI's chat completions: `model.chat.completions.create({ messages, stream })`. */
  readonly chat: { readonly completions: ChatCompletions }
  /** OpenAI's text completions: `model.completions.create({ prompt, stream })`. */
  readonly completions: TextCompletions
  /** OpenAI's embeddings: `model.embeddings.create({ input })`. */
  readonly embeddings: Embeddings
  /** How most weights are held on the GPU; a GGUF file may mix forms. */
  readonly dtype: WeightDtype
  /** Name of the GPU adapter in use. */
  readonly adapterName: string
  readonly device: DeviceFacts
  /** Where the time of the load went. Of the first token, `Session.stats()` tells the rest. */
  readonly loadPhases: readonly LoadPhase[]
  /** Bytes in live GPU buffers of this model and its sessions; 0 after `dispose()`. */
  readonly gpuBytes: number

  /**
   * A new conversation.
   * @throws `unknown-policy`, `bad-option`, `missing-weights` (a policy without its routers), `disposed`.
   */
  createSession(options?: SessionOptions): Session

  /**
   * Teacher-forced loss of a policy over windows of token ids, each from an empty cache. With activations in 8 bits, and under
   * a policy that decides anew behind an answer's beginning, in decode steps, token by token.
   * @throws `bad-option`, `missing-weights`, `aborted`, `device-lost`, `disposed`.
   */
  evaluate(windows: readonly (readonly number[])[], options?: EvaluateOptions): Promise<Evaluation>

  /**
   * Times one prefill and one decode step by kernel and by sublayer, with the device's timestamps, some rounds of each. Sessions may generate meanwhile; both are
   * then slower.
   * @throws `unsupported` where the device has no timestamps, `bad-option`, `missing-weights`, `aborted`, `device-lost`, `disposed`.
   */
  profile(options?: ProfileOptions): Promise<ProfileResult>

  /**
   * Embeddings of texts or of ids: for each a vector [hidden_size] of the states behind the final norm. A list gives a list. Texts
   * get the tokenizer's special tokens. Models that were not trained for it embed poorly.
   * @throws `bad-option` (nothing to embed, unknown ids), `context-full`, `missing-weights`, `aborted`, `device-lost`, `disposed`.
   */
  embed(input: Embeddable, options?: EmbedOptions): Promise<Float32Array>
  embed(input: readonly Embeddable[], options?: EmbedOptions): Promise<Float32Array[]>
  embed(input: EmbedInput, options?: EmbedOptions): Promise<Float32Array | Float32Array[]>

  /**
   * Measures how much each sublayer and each layer changes the residual stream, in one dense pass over windows of token ids, each from an
   * empty cache. Default: text that the model samples itself. What comes back is plain data, for the option `profile` of `loadModel`.
   * @throws `bad-option` (no tokens, unknown ids), `context-full`, `aborted`, `device-lost`, `disposed`.
   */
  calibrate(
    windows?: readonly (readonly number[])[],
    options?: Omit<EvaluateOptions, 'policy' | 'ends'>,
  ): Promise<SkipProfile>

  /**
   * Trains SkipGPT routers, a LoRA under them, or GateSkip's gates, on the GPU: on a text, or on what the model samples itself. The run begins at once and goes on while
   * sessions generate; both are then slower. A run that was cut off goes on where it was kept. What it makes is exported as files, and
   * routers and gates can be tried at once.
   * @throws `bad-option` (an option out of range, a text shorter than a batch, a model that has routers already), `missing-weights` (a LoRA without
   * routers), `unsupported` (weights that stream, no BOS, a LoRA for a model that was loaded with one), `out-of-memory` with what would fit or train in less room, `aborted`,
   * `device-lost`, `disposed`.
   */
  tune(options?: TuneOptions): Promise<TuneRun>

  /**
   * Loss and speed of policies against the share that they skip, over windows of token ids, each from an empty cache; with dense, and with the
   * control that computes what it skips. Without `policies`, those that this model runs.
   * @throws `bad-option` (nothing to predict, unknown ids), `unknown-policy`, `missing-weights`, `context-full`, `aborted`, `device-lost`, `disposed`.
   */
  sweep(windows: readonly (readonly number[])[], options?: SweepOptions): Promise<Sweep>

  /** Frees everything; later calls on the model or its sessions fail with `disposed`. */
  dispose(): void
  [Symbol.dispose](): void
  [Symbol.asyncDispose](): Promise<void>
}
