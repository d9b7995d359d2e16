import { checkLayers, checkPresent, type GateTensors, gateTensor } from './gate-tensors.js'
import type { Gates } from './gates.js'
import type { SkipPolicy } from './policy.js'
import { named } from './policy-name.js'

/** Names of the tensors, as the released code saves them. */
export const DLO_TENSORS = /^model\.routers\.\d+\.weight$/

/**
 * `model.routers.{i}.weight` [1, d], of some or all layers; the others always run.
 * @throws `missing-weights`, `wrong-model`, `bad-file`.
 */
export function readDlo(
  tensors: GateTensors,
  { layers, hiddenSize }: { layers: number; hiddenSize: number },
): Gates['layers'] {
  checkPresent(tensors, 'dlo', 'routers, "model.routers.0.weight" and so on')
  checkLayers(tensors, /routers\.(\d+)\./, layers)
  return Array.from({ length: layers }, (_, layer) => {
    const key = `model.routers.${layer}.weight`
    if (!tensors.has(key)) return undefined
    return { weight: gateTensor(tensors, key, [1, hiddenSize]), bias: new Float32Array(1) }
  })
}

/**
 * Dynamic Layer Operation (arXiv 2407.11030) in the form that leaves attention alone: with h the layer's input and x the stream after attention,
 *
 *     s = sigmoid(w · h)      x = x + (0.5 · factor + (s − 0.5) · gap) · MLP(x)  where s > threshold,  else x
 *
 * The rule of evaluation, which takes every token for itself; training takes the best tokens of a batch instead. Expanded layers are layers of the
 * checkpoint. The code's other form, in which a token skips attention too and is not seen by later ones, is not this one.
 */
export function dlo(
  { threshold, factor, gap }: { readonly threshold: number; readonly factor: number; readonly gap: number },
  layers: Gates['layers'],
): SkipPolicy {
  const options = [
    threshold === 0.5 ? '' : `threshold=${threshold}`,
    factor === 2 ? '' : `factor=${factor}`,
    gap === 0.05 ? '' : `gap=${gap}`,
  ]
  const output = { offset: 0.5 * factor - 0.5 * gap, gain: gap }
  return {
    name: named('dlo', options),
    decide: (sublayer) => (sublayer % 2 === 1 && layers[sublayer >> 1] ? 'routed' : 'run'),
    scoring: { kind: 'gates', mlp: { reads: 'entry', layers, outputs: 1, tie: 'skips', output } },
    threshold: () => threshold,
  }
}
