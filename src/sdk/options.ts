import type { DtypeOption } from '../model/matrix-dtypes.js'
import type { Activations } from '../runtime/activations.js'
import type { SkipProfile } from '../skip/profile.js'
import type { HubOptions } from '../storage/hub.js'
import type { FileSource } from '../storage/source.js'
import type { Overflow } from './overflow.js'
import type { PolicyRequest } from './policies.js'

/**
 * A folder of model files: its URL or that of a GGUF file in it, a model on a hub (`owner/name` or `owner/name@revision`; a relative URL of that form begins
 * with `./`), files that the user picked, or anything that implements `FileSource`.
 */
export type ModelSource = string | URL | FileSource | readonly File[]

export interface LoadProgress {
  /** `download`: from the server into the browser's database; `verify`: against a published hash; `upload`: to the GPU. */
  phase: 'config' | 'download' | 'verify' | 'upload' | 'pipelines' | 'ready'
  /** Bytes done and to do; both 0 in the phases that move none. */
  loaded: number
  total: number
}

/** Where and how model files are fetched. */
export interface SourceOptions {
  /** Keep what is downloaded in the browser's database, and load from it the next time. Default true. */
  store?: boolean
  /** The GGUF file of the folder that is the model, where it holds several or is a server's. */
  file?: string
  /** Where `owner/name` lies, and the token for models that need one. */
  hub?: HubOptions
  /** What went other than it should, and does not keep the model from loading or generating. Default: `console.warn`. */
  onWarning?: (message: string) => void
}

export interface LoadOptions extends SourceOptions {
  /** How to hold weights on the GPU. Default `stored`. */
  dtype?: DtypeOption
  /**
   * `q8` rounds what meets weights in q8 or q4 to 8 bits when tokens are generated, in blocks of 32 values: faster, and other results. Prompts
   * are read as ever. Where the device cannot, `onWarning` is told and `model.device.activations` stays `f32`. Default `f32`.
   */
  activations?: Activations
  /**
   * Bytes that weights may take on the GPU; caches and activations come on top. Where the model needs more, layers are streamed from
   * where it is kept: the sublayers that most tokens run stay, the others come when a token runs them. Default: no limit.
   */
  gpuBudget?: number
  /** A folder with `routers.safetensors`. Default: the model's own folder, where it has that file. */
  routers?: ModelSource
  /** A folder with a PEFT LoRA adapter, merged while loading. */
  lora?: ModelSource
  /**
   * What `calibrate` measured of this model, for policies that need it. Default: the `skip-profile.json` in the model's folder; where there is
   * none, they calibrate on text that the model samples itself, and `onWarning` says so.
   */
  profile?: SkipProfile
  /** Where adapters come from. Default `navigator.gpu`. */
  gpu?: GPU
  onProgress?: (progress: LoadProgress) => void
  /** The GPU device went away: what runs fails with `device-lost`, and the next call loads the weights onto a new one. */
  onDeviceLost?: (message: string) => void
  signal?: AbortSignal
}

export interface SessionOptions {
  /** What to skip. Default: nothing. A string is parsed as on the command line. */
  policy?: PolicyRequest | string
  /** Positions that the conversation may grow to. Default and most: the model's context. */
  contextLength?: number
  /** Bring the margin of every decision back with the bits. */
  margins?: boolean
  /** What happens where a call's conversation does not fit, and the call does not say. Default `error`. */
  overflow?: Overflow
}

/**
 * What a text must look like; exactly one of these. A text that `maxTokens` or the context cuts off is only the beginning of one.
 * The model does not know what is asked of it: say it in the prompt too.
 */
export type TextFormat =
  /** Any JSON value. */
  | { json: true }
  /** JSON that a JSON Schema accepts. */
  | { schema: object }
  /** A regular expression that the whole text matches. */
  | { regex: string }
  /** A grammar in llama.cpp's notation, from its rule `root`. */
  | { gbnf: string }

export interface GenerateOptions {
  /** Default: as many as fit into the context. */
  maxTokens?: number
  /** 0 takes the most probable token. Defaults of this and the next four: the model's generation_config.json. */
  temperature?: number
  topK?: number
  topP?: number
  minP?: number
  repetitionPenalty?: number
  /** Added to the logits of these token ids, from -100 (never) to 100 (almost always). */
  logitBias?: Readonly<Record<number, number>>
  /** Subtracted from the logits of tokens that this call has generated before, from -2 to 2. Default 0. */
  presencePenalty?: number
  /** The same, for every time that the token was generated. */
  frequencyPenalty?: number
  /** Default 0: the same text on every call. */
  seed?: number
  /** Strings that end the text; they are not part of it. */
  stop?: string | readonly string[]
  /**
   * Special tokens that the text holds as they are spelled, such as `<tool_call>`; of others it tells nothing. Those that the model does not
   * have mean nothing.
   */
  specialTokens?: readonly string[]
  /**
   * What happens where the conversation does not fit its context; default: what the session was made with. Tokens that are left out are gone
   * from the session's `tokens`, and the others are read again, at new positions: `stats()` and `trace()` tell of those that are left. A
   * `slide` is a pause, and a step of kind `prompt` that says what was read again; penalties count anew from there.
   */
  overflow?: Overflow
  /** Let only such a text come about; stop tokens end it where it is complete. Every token is then waited for. */
  format?: TextFormat
  /** Do not stop at the model's stop tokens. */
  ignoreEos?: boolean
  /** Also give the logits after the prompt, with the step of kind `prompt`. */
  logits?: boolean
  /**
   * Tell the log probability of every token, and of this many of the most probable ones, 0 to 20. The logits of every step are then
   * read back, one step at a time.
   */
  logprobs?: number
  /**
   * Tell the same of the prompt's tokens, with the step of kind `prompt`. All their logits are read back, a few positions at a time: prompts
   * take longer. Of tokens that were in the cache nothing is told: rewind the session first where it has some.
   */
  promptLogprobs?: number
  /** Decode steps per GPU submit. Default: follows the measured speed. */
  stepsPerSubmit?: number
  signal?: AbortSignal
}

export interface ChatOptions extends GenerateOptions {
  /** Descriptions of tools in OpenAI's shape, handed to the model's template. What the model writes is not looked at. */
  tools?: readonly object[] | undefined
}

export type FinishReason = 'stop' | 'length'

/** The prompt was read, or what is left of the text where it slid. Its bits are those of all positions fed, one after the other. */
export interface PromptStep {
  kind: 'prompt'
  text: ''
  /** Ids fed by this call; fewer than the conversation has where earlier ones were in the cache. */
  tokens: readonly number[]
  /** Position of the first of them. */
  position: number
  executed: Uint32Array
  margins?: Float32Array
  logits?: Float32Array
  /** One for each of `tokens`, where the call asked for `promptLogprobs`; null for the first, which follows on nothing that was read now. */
  logprobs?: readonly (TokenLogprobs | null)[]
}

export interface TokenLogprob {
  readonly token: number
  /** Natural logarithm of its probability, in (-Infinity, 0]. */
  readonly logprob: number
  /** U+FFFD where it has only a part of a character; a special token as it is spelled. */
  readonly text: string
  /** UTF-8, where it is text. */
  readonly bytes?: Uint8Array
}

/** How probable a token was to the model itself: before biases, penalties, temperature, filters and formats. */
export interface TokenLogprobs extends TokenLogprob {
  /** The most probable tokens, the best first. */
  readonly top: readonly TokenLogprob[]
}

/** A token was generated. */
export interface TokenStep {
  kind: 'token'
  /** Text that is now certain: empty while a character or a possible stop string is incomplete. */
  text: string
  token: number
  /** Position whose result chose this token. */
  position: number
  /** 2L execute bits of that position: bit i = word i >> 5, bit i & 31; sublayer 2·layer is attention, + 1 the MLP. */
  executed: Uint32Array
  /** Signed distance of each sublayer's score to its threshold, where the session traces margins. */
  margins?: Float32Array
  /** Where the call asked for `logprobs`. */
  logprobs?: TokenLogprobs
}

/** The end of the text. */
export interface EndStep {
  kind: 'end'
  /** What was held back. */
  text: string
  executed: Uint32Array
  finishReason: FinishReason
  /** Tokens that this call kept. */
  tokens: readonly number[]
}

export type Step = PromptStep | TokenStep | EndStep
