import { HOLE } from '../../../shaders/snippets/hole.js'

/**
 * A cache [positions, 2 kvHeads headDim] with what rows that skip leave in it: a hole, or what `below`, the layer below, has. Row r skips where
 * `skips[r]`, and stands at `positions[r]`.
 */
export function fillSkipped(
  kv: ArrayLike<number>,
  { skips, positions }: { readonly skips: readonly boolean[]; readonly positions: readonly number[] },
  { kvHeads, headDim }: { readonly kvHeads: number; readonly headDim: number },
  below?: ArrayLike<number>,
): Float64Array {
  const filled = Float64Array.from(kv)
  const width = 2 * kvHeads * headDim
  for (const [row, position] of positions.entries()) {
    if (!skips[row]) continue
    for (let i = 0; i < width; i++) {
      const empty = i < kvHeads * headDim && i % headDim === 0 ? HOLE : 0
      filled[position * width + i] = below ? below[position * width + i]! : empty
    }
  }
  return filled
}
