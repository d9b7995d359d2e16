import { pcgHash } from '../kernels/reference/random.js'
import type { SkipPolicy } from './policy.js'
import { shareOf, staticSet } from './static-set.js'

/**
 * A control: skips sublayers that lots choose once, the same for every token, request and seed. The number of skipped sublayers is the share
 * exactly, up to rounding; `forced` instead draws for each token.
 */
export function random({ skip, seed, layers }: { skip: number; seed: number; layers: number }): SkipPolicy {
  const all = 2 * layers
  const drawn = Array.from({ length: all }, (_, sublayer) => ({ sublayer, lot: pcgHash(seed, 0, sublayer) }))
  drawn.sort((a, b) => a.lot - b.lot || a.sublayer - b.sublayer)
  const count = shareOf('random', skip, { all, most: all })
  return staticSet({
    name: `random:skip=${skip},seed=${seed}`,
    skipped: new Set(drawn.slice(0, count).map(({ sublayer }) => sublayer)),
  })
}
