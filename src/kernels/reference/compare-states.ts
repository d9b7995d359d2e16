/** Norms and products of norms below this count as this. */
const LEAST = 1e-8

/** Of every row [rows, d]: the cosine of a and b, and |b| / |a|. */
export function compareStates(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  rows: number,
  d: number,
): { cosine: number; ratio: number }[] {
  return Array.from({ length: rows }, (_, row) => {
    let product = 0
    let before = 0
    let now = 0
    for (let i = row * d; i < (row + 1) * d; i++) {
      product += a[i]! * b[i]!
      before += a[i]! ** 2
      now += b[i]! ** 2
    }
    const norms = { before: Math.sqrt(before), now: Math.sqrt(now) }
    return {
      cosine: product / Math.max(norms.before * norms.now, LEAST),
      ratio: norms.now / Math.max(norms.before, LEAST),
    }
  })
}
