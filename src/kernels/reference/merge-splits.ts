/**
 * What a softmax over all positions makes of the parts that it was cut into (Flash-Decoding): each part has its maximum m, its weight
 * w = Σ exp(score − m), and the sum of values with the same factors.
 *
 * sums [parts, headDim], statistics [parts] of (m, w) -> [headDim]
 */
export function mergeSplits(
  sums: readonly ArrayLike<number>[],
  statistics: readonly (readonly [maximum: number, weight: number])[],
): Float64Array {
  const largest = Math.max(...statistics.map(([maximum]) => maximum))
  const factors = statistics.map(([maximum]) => Math.exp(maximum - largest))
  const total = statistics.reduce((sum, [, weight], i) => sum + (factors[i] as number) * weight, 0)
  return Float64Array.from(
    { length: sums[0]?.length ?? 0 },
    (_, c) => sums.reduce((sum, part, i) => sum + (factors[i] as number) * (part[c] as number), 0) / total,
  )
}
