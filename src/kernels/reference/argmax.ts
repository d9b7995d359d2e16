/**
 * The index of the largest value; the lowest index wins ties.
 *
 * x [n], n >= 1 -> index
 */
export function argmax(x: ArrayLike<number>): number {
  let best = 0
  for (let i = 1; i < x.length; i++) if (x[i]! > x[best]!) best = i
  return best
}
