/**
 * Input gradient of RMSNorm with frozen weights g. With `s = 1 / sqrt(mean_i(x[i]^2) + eps)`:
 * `dx[i] = s · g[i] dy[i] − x[i] · s^3 / d · sum_j x[j] g[j] dy[j]`.
 *
 * x and dy [rows, d], weight [d] -> dx [rows, d]
 */
export function rmsNormBackward(
  x: ArrayLike<number>,
  weight: ArrayLike<number>,
  dy: ArrayLike<number>,
  eps: number,
  rows: number,
  d: number,
): Float64Array {
  const dx = new Float64Array(rows * d)
  for (let r = 0; r < rows; r++) {
    let squares = 0
    let along = 0
    for (let i = 0; i < d; i++) {
      squares += x[r * d + i]! ** 2
      along += x[r * d + i]! * weight[i]! * dy[r * d + i]!
    }
    const scale = 1 / Math.sqrt(squares / d + eps)
    for (let i = 0; i < d; i++) {
      dx[r * d + i] = scale * weight[i]! * dy[r * d + i]! - (x[r * d + i]! * scale ** 3 * along) / d
    }
  }
  return dx
}
