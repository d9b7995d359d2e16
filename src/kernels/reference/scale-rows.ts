/** x times `scale`. */
export function scaleRows(x: ArrayLike<number>, scale: number): Float64Array {
  return Float64Array.from(x, (value) => scale * value)
}
