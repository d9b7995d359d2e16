import type { SkipPolicy } from './policy.js'
import type { SkipProfile } from './profile.js'
import { mostSimilar, shareOf, staticSet } from './static-set.js'

/**
 * ShortGPT (arXiv 2403.03853): leaves out the layers of the lowest Block Influence, BI = 1 − E cos(h_in, h_out), over the tokens of a text,
 * for every token. Its layers are whole, so that the share is rounded to a number of them; of equals the lower one goes first.
 *
 * Departures: none of the method; the paper measures on PG19, here it is the profile's text. The layers stay in the checkpoint.
 */
export function shortgpt({ skip, profile }: { skip: number; profile: SkipProfile }): SkipPolicy {
  const { layers } = profile.model
  const count = shareOf('shortgpt', skip, { all: layers, most: layers })
  const left = mostSimilar(profile.layerSimilarity, count)
  return staticSet({
    name: `shortgpt:skip=${skip}`,
    skipped: new Set(left.flatMap((layer) => [2 * layer, 2 * layer + 1])),
  })
}
