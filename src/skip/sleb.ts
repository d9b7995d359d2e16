import type { SkipPolicy } from './policy.js'
import { shareOf, staticSet } from './static-set.js'

/**
 * SLEB (arXiv 2402.09025): leaves out layers one after the other, always the one without which the loss of a text grows least, given those
 * that are gone already. The first and the last layer stay. For every token; of equals the lower one goes first.
 *
 * Departures: the paper's text is 128 samples of WikiText-2, here it is the sample of the profile. The layers stay in the checkpoint.
 */
export async function sleb(o: {
  skip: number
  layers: number
  /** Of the text, under a policy. */
  loss: (policy: SkipPolicy) => Promise<number>
}): Promise<SkipPolicy> {
  const { skip, layers, loss } = o
  const count = shareOf('sleb', skip, { all: layers, most: Math.max(0, layers - 2) })
  const name = `sleb:skip=${skip}`
  const left: number[] = []
  while (left.length < count) {
    let best = { layer: 0, loss: Number.POSITIVE_INFINITY }
    for (let layer = 1; layer < layers - 1; layer++) {
      if (left.includes(layer)) continue
      const its = await loss(without(`${name}, trying`, [...left, layer]))
      if (its < best.loss || best.layer === 0) best = { layer, loss: its }
    }
    left.push(best.layer)
  }
  return without(name, left)
}

function without(name: string, layers: readonly number[]): SkipPolicy {
  return staticSet({ name, skipped: new Set(layers.flatMap((layer) => [2 * layer, 2 * layer + 1])) })
}
