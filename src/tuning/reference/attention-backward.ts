export interface AttentionShape {
  readonly heads: number
  readonly kvHeads: number
  readonly headDim: number
  /** Rows of a sequence; row r sees rows of its own sequence up to itself. */
  readonly length: number
}

/**
 * Causal grouped-query attention of whole sequences, one behind the other, and its gradients. With `s = q·k / sqrt(headDim)`, `p = softmax(s)`,
 * `y = sum p v`, `dp = dy·v`: `dv = sum p dy`, `ds = p (dp − dy·y)`, `dq = sum ds k / sqrt(headDim)`, `dk = sum ds q / sqrt(headDim)`.
 *
 * q and dy [rows, heads, headDim], k and v [rows, kvHeads, headDim] -> y, dq, dk, dv of these shapes, and logSumExp [rows, heads] of s
 */
export function attentionBackward(
  q: ArrayLike<number>,
  k: ArrayLike<number>,
  v: ArrayLike<number>,
  dy: ArrayLike<number>,
  { heads, kvHeads, headDim, length }: AttentionShape,
) {
  const rows = q.length / (heads * headDim)
  const y = new Float64Array(q.length)
  const dq = new Float64Array(q.length)
  const dk = new Float64Array(k.length)
  const dv = new Float64Array(v.length)
  const logSumExp = new Float64Array(rows * heads)
  const scale = 1 / Math.sqrt(headDim)
  const dot = (a: ArrayLike<number>, i: number, b: ArrayLike<number>, j: number) => {
    let sum = 0
    for (let c = 0; c < headDim; c++) sum += a[i + c]! * b[j + c]!
    return sum
  }
  for (let row = 0; row < rows; row++) {
    const first = row - (row % length)
    for (let h = 0; h < heads; h++) {
      const at = (row * heads + h) * headDim
      const keyAt = (s: number) => ((first + s) * kvHeads + Math.floor((h * kvHeads) / heads)) * headDim
      const scores = Float64Array.from({ length: row - first + 1 }, (_, s) => scale * dot(q, at, k, keyAt(s)))
      const largest = scores.reduce((a, b) => Math.max(a, b), -Infinity)
      const lse = largest + Math.log(scores.reduce((sum, s) => sum + Math.exp(s - largest), 0))
      const p = scores.map((s) => Math.exp(s - lse))
      logSumExp[row * heads + h] = lse
      for (const [s, weight] of p.entries()) {
        for (let c = 0; c < headDim; c++) y[at + c]! += weight * v[keyAt(s) + c]!
      }
      const delta = dot(dy, at, y, at)
      for (const [s, weight] of p.entries()) {
        const key = keyAt(s)
        const dScore = weight * (dot(dy, at, v, key) - delta) * scale
        for (let c = 0; c < headDim; c++) {
          dv[key + c]! += weight * dy[at + c]!
          dq[at + c]! += dScore * k[key + c]!
          dk[key + c]! += dScore * q[at + c]!
        }
      }
    }
  }
  return { y, dq, dk, dv, logSumExp }
}
