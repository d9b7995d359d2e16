import { linear } from './linear.js'

/**
 * One SkipGPT router, folded: of its two logits (0 = execute, 1 = skip) only the difference counts, so the last layer is
 * stored as `weight = w0 - w1` and `bias = b0 - b1`.
 *
 * Linear form: weight [d]. Two-layer form: hiddenWeight [w, d], hiddenBias [w], weight [w].
 */
export interface RouterWeights {
  weight: ArrayLike<number>
  bias: number
  hiddenWeight?: ArrayLike<number>
  hiddenBias?: ArrayLike<number>
}

/**
 * The router's margin for every token; the caller executes the sublayer iff `z >= delta`.
 * Linear: `z = weight · x + bias`. Two-layer: `z = weight · ReLU(hiddenWeight x + hiddenBias) + bias`.
 *
 * x [rows, d], the raw residual stream -> z [rows]
 */
export function routerScores(x: ArrayLike<number>, router: RouterWeights, rows: number, d: number): Float64Array {
  const { weight, bias, hiddenWeight, hiddenBias } = router
  if (!hiddenWeight) return linear(x, weight, rows, d, 1, [bias])

  const hidden = linear(x, hiddenWeight, rows, d, weight.length, hiddenBias)
  const relu = hidden.map((value) => Math.max(value, 0))
  return linear(relu, weight, rows, weight.length, 1, [bias])
}
