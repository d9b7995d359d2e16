import type { Measured, SkipPolicy } from './policy.js'
import type { SkipProfile } from './profile.js'
import { mostSimilar, type StaticSet, shareOf, staticSet } from './static-set.js'

/**
 * AdaSkip (arXiv 2501.02336). Offline: attentions and MLPs in one ranking of 2L sublayers by E cos(before, behind), both of them the
 * residual stream. The most similar ones are skipped, for every token of prompt and answer, and each becomes h ← scale · h with
 * scale = E |behind| / |before|. Of equals the lower one goes first. Online: in the first `window` steps of an answer, the MLPs that are left are
 * measured the same way; those at least as similar as the least similar one of the offline set are skipped for the rest of the answer, with the
 * scales of the window.
 *
 * Departures: the share is of sublayers; the paper's acceleration ratio α is skip = 1 − 1 / α. Means are over all tokens of all texts, as in
 * the paper; its code takes means per prompt first, and ratios of Frobenius norms, and never gets to its online part for the requests that it
 * measures. An empty offline set has no least similar sublayer: nothing is added then.
 */
export function adaskip(o: { skip: number; online: boolean; window: number; profile: SkipProfile }): SkipPolicy {
  const { skip, online, window, profile } = o
  const all = 2 * profile.model.layers
  const count = shareOf('adaskip', skip, { all, most: all })
  const skipped = mostSimilar(profile.similarity, count)
  const offline = {
    name: `adaskip:skip=${skip},online=${online}${online ? `,window=${window}` : ''}`,
    skipped: new Set(skipped),
    scale: (sublayer: number) => profile.scale[sublayer] as number,
  }
  const least = skipped.at(-1)
  if (!online || least === undefined) return staticSet(offline)
  const threshold = profile.similarity[least] as number
  const rest = profile.similarity.map((_, i) => i).filter((i) => i % 2 === 1 && !offline.skipped.has(i))
  const then = (measured: readonly Measured[]) =>
    extended(
      offline,
      measured.filter((m) => m.similarity >= threshold),
    )
  return { ...staticSet(offline), watch: { steps: window, sublayers: rest, then } }
}

/** The set with more sublayers, and their own scales. Policies of the same name skip alike, so that the name has them. */
function extended(offline: StaticSet & Required<Pick<StaticSet, 'scale'>>, more: readonly Measured[]): SkipPolicy {
  const scales = new Map(more.map(({ sublayer, scale }) => [sublayer, scale]))
  return staticSet({
    name: [offline.name, ...[...scales].map(([sublayer, scale]) => `${sublayer}*${scale}`)].join('+'),
    skipped: new Set([...offline.skipped, ...scales.keys()]),
    scale: (sublayer) => scales.get(sublayer) ?? offline.scale(sublayer),
  })
}
