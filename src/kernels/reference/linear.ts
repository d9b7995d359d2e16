/**
 * A linear layer on every row: `y[r,o] = sum_i weight[o,i] * x[r,i] + bias[o]`.
 *
 * x [rows, k], weight [n, k] row-major, bias [n] -> [rows, n]
 */
export function linear(
  x: ArrayLike<number>,
  weight: ArrayLike<number>,
  rows: number,
  k: number,
  n: number,
  bias?: ArrayLike<number>,
): Float64Array {
  const y = new Float64Array(rows * n)
  for (let r = 0; r < rows; r++) {
    for (let o = 0; o < n; o++) {
      let sum = bias ? bias[o]! : 0
      for (let i = 0; i < k; i++) sum += weight[o * k + i]! * x[r * k + i]!
      y[r * n + o] = sum
    }
  }
  return y
}
