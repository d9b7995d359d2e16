import type { SkipPolicy } from './policy.js'
import type { RouterWeights } from './router-weights.js'

export interface SkipGptOptions {
  routers: RouterWeights
  /** Margin shift: execute iff z >= delta. Positive values skip more. */
  delta?: number
  /** What the MLP's router reads. The published form reads the layer entry. */
  input?: 'entry' | 'post-attention'
}

/** SkipGPT (arXiv 2506.04179): two learned routers per layer decide for every token, by arg-max. */
export function skipgptPolicy({ routers, delta = 0, input = 'entry' }: SkipGptOptions): SkipPolicy {
  return {
    name: `skipgpt${delta === 0 ? '' : `:delta=${delta}`}`,
    decide: () => 'routed',
    scoring: { kind: 'routers', routers, mlpInput: input },
    threshold: () => delta,
  }
}
