import type { RouterWeights } from './router-weights.js'

/** What a policy says of one sublayer: run for every token, or ask the scoring rule on the GPU for each. */
export type Decision = 'run' | 'routed'

/**
 * How the GPU scores a token at a routed sublayer; it executes iff score >= threshold of that sublayer.
 *
 * `routers`: learned SkipGPT routers on the raw residual stream; the MLP's router reads the layer entry or the state
 * after attention. `lot`: a uniform number in [0, 1) drawn from (seed, position, sublayer).
 */
export type Scoring =
  | { readonly kind: 'routers'; readonly routers: RouterWeights; readonly mlpInput: 'entry' | 'post-attention' }
  | { readonly kind: 'lot'; readonly seed: number }

/**
 * What to skip, never how to run. Sublayers are numbered 2·layer (attention) and 2·layer + 1 (MLP).
 */
export interface SkipPolicy {
  /** As the command line writes it, with the options that differ from their defaults. */
  readonly name: string
  decide(sublayer: number): Decision
  /** Absent where nothing is routed. */
  readonly scoring?: Scoring
  /** The threshold δ of a routed sublayer. */
  threshold(sublayer: number): number
}
