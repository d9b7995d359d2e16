import { SkipstoneError } from '../errors.js'
import type { SkipPolicy } from './policy.js'
import { staticSet } from './static-set.js'

export type UnifiedForm = 'even' | 'published'

/**
 * Unified Layer Skipping (arXiv 2404.06954): a speed-up s keeps K = floor(L / s) of L layers, among them the first and the last. The prompt
 * runs all layers; decoding runs those that are kept.
 *
 * `published` is the formula of the authors' code: with interval = floor(L / (K − 1)), layers i = 1 .. L − 2 are kept where i is a multiple of
 * it, until K are. For s < 2 the interval is 1, and what it drops is one block at the end. `even`, ours, spreads the K layers evenly:
 * round(k (L − 1) / (K − 1)) for k = 0 .. K − 1.
 *
 * Departures: the authors leave keys and values of skipped layers empty, which nobody reads within one answer; here they are made, since the
 * next turn's prompt attends to them. The authors fine-tune the model for it; without that it is a baseline.
 * @throws `bad-option` for a speed-up that leaves fewer than two layers.
 */
export function unified(o: { speedup: number; form: UnifiedForm; layers: number }): SkipPolicy {
  const { speedup, form, layers } = o
  // A speed-up of 10 / 7 is one that no number is.
  const count = Math.floor(layers / speedup + 1e-9)
  if (count < 2) {
    throw new SkipstoneError(
      'bad-option',
      `unified: speedup=${speedup} is out of reach; of this model's ${layers} layers two stay, a speed-up of ${layers / 2} at most.`,
    )
  }
  const kept = new Set(form === 'even' ? evenLayers(layers, count) : publishedLayers(layers, count))
  const left = Array.from({ length: layers }, (_, layer) => layer).filter((layer) => !kept.has(layer))
  return staticSet({
    name: `unified:speedup=${speedup},form=${form}`,
    skipped: new Set(left.flatMap((layer) => [2 * layer, 2 * layer + 1])),
    phase: 'decode',
  })
}

function evenLayers(layers: number, count: number): number[] {
  return Array.from({ length: count }, (_, k) => Math.round((k * (layers - 1)) / (count - 1)))
}

function publishedLayers(layers: number, count: number): number[] {
  const interval = Math.floor(layers / (count - 1))
  const kept = [0, layers - 1]
  for (let i = 1; i < layers - 1 && kept.length < count; i++) if (i % interval === 0) kept.push(i)
  return kept
}
