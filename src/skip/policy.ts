import type { Gates } from './gates.js'
import type { RouterWeights } from './router-weights.js'

/**
 * What a policy says of one sublayer: run for every token, skip for every token (nothing is encoded for it), or ask the scoring rule on
 * the GPU for each.
 */
export type Decision = 'run' | 'skip' | 'routed'

/** Positions that are fed, a prompt; or those that are generated. */
export type Phase = 'prefill' | 'decode'

/**
 * How the GPU scores a token at a routed sublayer; it executes iff score >= threshold of that sublayer.
 *
 * `routers`: learned SkipGPT routers on the raw residual stream; the MLP's router reads the layer entry or the state
 * after attention. `lot`: a uniform number in [0, 1) drawn from (seed, position, sublayer). `gates`: the mean of a gate, which may scale what
 * the sublayer adds too. Sublayers of a kind that has none are not routed, but for attentions where one gate decides for a whole layer (`ofLayers`). With a
 * `promptShare`, above 0, the threshold of a prompt's tokens is that quantile of the scores of those that are read with them, a chunk of a prompt.
 */
export type Scoring =
  | { readonly kind: 'routers'; readonly routers: RouterWeights; readonly mlpInput: 'entry' | 'post-attention' }
  | { readonly kind: 'lot'; readonly seed: number }
  | { readonly kind: 'gates'; readonly attention?: Gates; readonly mlp?: Gates; readonly promptShare?: number }

/** What a sublayer did to the residual stream, on average over the steps that were watched. */
export interface Measured {
  readonly sublayer: number
  /** Cosine before and behind. */
  readonly similarity: number
  /** Norm behind over that before. */
  readonly scale: number
}

/** The beginning of every answer, behind which a policy decides anew. */
export interface Watch {
  /** Decode steps. */
  readonly steps: number
  /** Those that are measured meanwhile. */
  readonly sublayers: readonly number[]
  /** What the rest of the answer obeys. It attends to nothing that this policy leaves out. */
  then(measured: readonly Measured[]): SkipPolicy
}

/** What an answer is drafted with, and how much of it at a time. */
export interface Drafts {
  /** What drafts skip, said of decoding; of prompts it says what the policy itself does, which is how drafts are verified. */
  readonly policy: SkipPolicy
  /** Tokens before each verification. `adaptive`: as many as measured costs say. */
  readonly length: number | 'adaptive'
}

/**
 * What to skip, never how to run. Sublayers are numbered 2·layer (attention) and 2·layer + 1 (MLP).
 */
export interface SkipPolicy {
  /** As the command line writes it, with the options that differ from their defaults. */
  readonly name: string
  /** Known before the request: the same whenever it is asked. */
  decide(sublayer: number, phase: Phase): Decision
  /** Absent where nothing is routed. */
  readonly scoring?: Scoring
  /** The threshold δ of a routed sublayer. */
  threshold(sublayer: number): number
  /** A sublayer that every token skips multiplies the residual stream by this. Absent: 1, nothing. */
  scale?(sublayer: number): number
  /**
   * What becomes of keys and values of an attention that is skipped in one phase and runs in the other, where tokens attend to positions of
   * both. `projected`: they are made for every token, as they are of tokens that a router skips. `recomputed`: the phase that skips leaves
   * them out, and its positions are fed again in the other one before anybody attends to them. An attention that is skipped in both phases
   * has none, and needs no rule.
   */
  readonly keysValues?: 'projected' | 'recomputed'
  /**
   * What a later token finds at the position of one that a routed attention skips. Absent: keys and values of its own, made all the same. `hole`:
   * nothing, attention leaves the position out; whoever may be alone must run. `below`: what the layer below has there; the first layer, which has none
   * below, makes its own.
   */
  readonly skipped?: 'hole' | 'below'
  /** Absent where the policy is the same for the whole answer. */
  readonly watch?: Watch
  /** Answers are what the policy itself gives, guessed by another one and then verified, many positions at a time. */
  readonly drafts?: Drafts
}
