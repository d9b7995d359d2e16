/**
 * Negative log-likelihood of one target per row: `nll[r] = ln(sum_i exp(logits[r,i])) - logits[r, targets[r]]`.
 *
 * logits [rows, vocab], targets [rows] -> [rows]
 */
export function nll(logits: ArrayLike<number>, targets: ArrayLike<number>, rows: number, vocab: number): Float64Array {
  const result = new Float64Array(rows)
  for (let r = 0; r < rows; r++) {
    let largest = -Infinity
    for (let i = 0; i < vocab; i++) largest = Math.max(largest, logits[r * vocab + i]!)
    let total = 0
    for (let i = 0; i < vocab; i++) total += Math.exp(logits[r * vocab + i]! - largest)
    result[r] = largest + Math.log(total) - logits[r * vocab + targets[r]!]!
  }
  return result
}
