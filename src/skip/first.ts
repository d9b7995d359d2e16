import type { SkipPolicy } from './policy.js'
import { shareOf, staticSet } from './static-set.js'

/**
 * A control: skips the first sublayers of the model behind layer 0, whatever they do, for every token. Layer 0 stays, as in the schedules
 * that skip "layers 1 to k" (SkipDecode, arXiv 2307.02628, as the code of AdaSkip, arXiv 2501.02336, has it): it makes states of embeddings.
 * Unlike those, the depth does not change with the position, and a share of single sublayers is skipped.
 */
export function first({ skip, layers }: { skip: number; layers: number }): SkipPolicy {
  const all = 2 * layers
  const count = shareOf('first', skip, { all, most: all - 2 })
  return staticSet({ name: `first:skip=${skip}`, skipped: new Set(Array.from({ length: count }, (_, i) => 2 + i)) })
}
