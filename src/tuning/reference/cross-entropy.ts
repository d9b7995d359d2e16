import { NO_TARGET } from '../../../shaders/cross-entropy-slice.wgsl.js'
import { linear } from '../../kernels/reference/linear.js'

/**
 * Cross-entropy of the next token, and its gradient in the states that the head reads:
 * `loss = scale · sum_r (ln sum_v exp(l[r,v]) − l[r,targets[r]])` with `l = state headᵀ`, over rows that have a target;
 * `dState[r] = scale · sum_v (softmax(l[r])[v] − [v = targets[r]]) head[v]`.
 *
 * state [rows, d], head [vocab, d], targets [rows] -> loss, dState [rows, d]
 */
export function crossEntropy(
  state: ArrayLike<number>,
  head: ArrayLike<number>,
  targets: ArrayLike<number>,
  scale: number,
  d: number,
): { loss: number; dState: Float64Array } {
  const rows = targets.length
  const vocab = head.length / d
  const logits = linear(state, head, rows, d, vocab)
  const dState = new Float64Array(rows * d)
  let loss = 0
  for (let r = 0; r < rows; r++) {
    if (targets[r] === NO_TARGET) continue
    const row = logits.subarray(r * vocab, (r + 1) * vocab)
    const largest = row.reduce((a, b) => Math.max(a, b), -Infinity)
    const logSumExp = largest + Math.log(row.reduce((sum, l) => sum + Math.exp(l - largest), 0))
    loss += scale * (logSumExp - row[targets[r]!]!)
    for (let v = 0; v < vocab; v++) {
      const dLogit = scale * (Math.exp(row[v]! - logSumExp) - (v === targets[r] ? 1 : 0))
      for (let i = 0; i < d; i++) dState[r * d + i]! += dLogit * head[v * d + i]!
    }
  }
  return { loss, dState }
}
