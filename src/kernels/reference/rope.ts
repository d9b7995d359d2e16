/**
 * Rotary position embedding in the rotate-half form: component i of a head is paired with component i + headDim/2 and the
 * pair is turned by the angle of its row. Every head of a row turns by the same angles.
 *
 * x [rows, heads, headDim], table [rows, headDim] with rows `[cos_0 … cos_h, sin_0 … sin_h]` -> [rows, heads, headDim]
 */
export function rope(
  x: ArrayLike<number>,
  table: ArrayLike<number>,
  rows: number,
  heads: number,
  headDim: number,
): Float64Array {
  const half = headDim / 2
  const y = new Float64Array(rows * heads * headDim)
  for (let r = 0; r < rows; r++) {
    for (let h = 0; h < heads; h++) {
      const head = (r * heads + h) * headDim
      for (let i = 0; i < half; i++) {
        const cos = table[r * headDim + i]!
        const sin = table[r * headDim + half + i]!
        const a = x[head + i]!
        const b = x[head + half + i]!
        y[head + i] = a * cos - b * sin
        y[head + half + i] = b * cos + a * sin
      }
    }
  }
  return y
}
