import { product } from './product.js'

/**
 * Input gradient of a linear layer `y = x Wᵀ` with frozen weights: `dx = dy W`.
 *
 * dy [rows, n], weight [n, k] -> dx [rows, k]
 */
export function linearBackward(
  dy: ArrayLike<number>,
  weight: ArrayLike<number>,
  rows: number,
  n: number,
  k: number,
): Float64Array {
  return product({ values: dy, row: n, column: 1 }, { values: weight, row: k, column: 1 }, rows, k, n)
}
