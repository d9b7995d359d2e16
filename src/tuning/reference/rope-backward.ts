import { rope } from '../../kernels/reference/rope.js'

/**
 * Gradient of rotate-half RoPE: a turn keeps lengths, so that its transpose is the turn by the opposite angle.
 *
 * dy [rows, heads, headDim], table [rows, headDim] as in `rope` -> [rows, heads, headDim]
 */
export function ropeBackward(
  dy: ArrayLike<number>,
  table: ArrayLike<number>,
  rows: number,
  heads: number,
  headDim: number,
): Float64Array {
  const back = Float64Array.from(table, (value, i) => (i % headDim < headDim / 2 ? value : -value))
  return rope(dy, back, rows, heads, headDim)
}
