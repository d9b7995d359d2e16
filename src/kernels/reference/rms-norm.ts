/**
 * RMSNorm of every row: `y[r,i] = x[r,i] / sqrt(mean_i(x[r,i]^2) + eps) * weight[i]`.
 *
 * x [rows, d], weight [d] -> [rows, d]
 */
export function rmsNorm(
  x: ArrayLike<number>,
  weight: ArrayLike<number>,
  eps: number,
  rows: number,
  d: number,
): Float64Array {
  const y = new Float64Array(rows * d)
  for (let r = 0; r < rows; r++) {
    let squares = 0
    for (let i = 0; i < d; i++) squares += x[r * d + i]! ** 2
    const scale = 1 / Math.sqrt(squares / d + eps)
    for (let i = 0; i < d; i++) y[r * d + i] = x[r * d + i]! * scale * weight[i]!
  }
  return y
}
