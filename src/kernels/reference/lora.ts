/**
 * A LoRA adapter folded into the weight that it adapts: `W + scale * B A`, with scale = alpha / r.
 *
 * weight [n, k], a [r, k], b [n, r] -> [n, k]
 */
export function mergeLora(
  weight: ArrayLike<number>,
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  scale: number,
  n: number,
  k: number,
  r: number,
): Float64Array {
  const merged = new Float64Array(n * k)
  for (let o = 0; o < n; o++) {
    for (let i = 0; i < k; i++) {
      let sum = 0
      for (let j = 0; j < r; j++) sum += b[o * r + j]! * a[j * k + i]!
      merged[o * k + i] = weight[o * k + i]! + scale * sum
    }
  }
  return merged
}
