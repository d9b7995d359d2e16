import type { TokenLogprobs } from './logprobs.js'
import type { StepRecord } from './records.js'
import type { Sampling } from './sampling.js'

export interface GenerateTokensOptions {
  sampling: Sampling
  maxTokens: number
  contextLength: number
  /** Tokens already in the cache, for the repetition penalty. */
  seen: readonly number[]
  signal?: AbortSignal | undefined
  logits?: boolean
  /** Tell the log probability of every token, and of this many of the most probable. One step per submit. */
  logprobs?: number | undefined
  /** The same for `ids`. */
  promptLogprobs?: number | undefined
  /** Decode steps per submit; by default it follows the measured speed. */
  stepsPerSubmit?: number | undefined
  /** What may be generated. What comes next depends on each token, so every step is a submit that is waited for. */
  constraint?: Constraint | undefined
}

/** Decides which tokens may come next. */
export interface Constraint {
  /** The tokens that may come next, a bit each; stop tokens where the text may end. */
  mask(): Uint32Array<ArrayBuffer>
  /** Goes on by a token that is no stop token. */
  accept(token: number): void
}

export type TokenEvent =
  /** `logprobs`: of every id but the first, where they were asked for. */
  | { kind: 'prompt'; records: StepRecord[]; logits: Float32Array | undefined; logprobs: readonly TokenLogprobs[] }
  /** A token, and the record of the position that produced it. */
  | { kind: 'token'; token: number; record: StepRecord; logprobs?: TokenLogprobs }
  | { kind: 'stop'; token: number; record: StepRecord }

export type ChosenEvent = Exclude<TokenEvent, { kind: 'prompt' }>
