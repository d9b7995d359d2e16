import type { SkipPolicy } from './policy.js'
import type { SkipProfile } from './profile.js'
import { mostSimilar, shareOf, staticSet } from './static-set.js'

/**
 * AdaSkip (arXiv 2501.02336), its offline part: attentions and MLPs in one ranking of 2L sublayers by E cos(before, behind), both of them the
 * residual stream. The most similar ones are skipped, for every token of prompt and answer, and each becomes h ← scale · h with
 * scale = E |behind| / |before|. Of equals the lower one goes first.
 *
 * Departures: the share is of sublayers; the paper's acceleration ratio α is skip = 1 − 1 / α. Means are over all tokens of all texts, as in
 * the paper; its code takes means per prompt first, and ratios of Frobenius norms. The online part, which skips more MLPs after a window of
 * generated tokens, is not in this version.
 */
export function adaskip({ skip, profile }: { skip: number; profile: SkipProfile }): SkipPolicy {
  const all = 2 * profile.model.layers
  const count = shareOf('adaskip', skip, { all, most: all })
  return staticSet({
    name: `adaskip:skip=${skip},online=false`,
    skipped: new Set(mostSimilar(profile.similarity, count)),
    scale: (sublayer) => profile.scale[sublayer] as number,
  })
}
