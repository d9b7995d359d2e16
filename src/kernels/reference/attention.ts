/**
 * Causal grouped-query attention of compacted queries over the whole cache:
 * `y[i,h] = sum_s softmax_s(q[i,h] · k[s,g] / sqrt(headDim)) * v[s,g]` for `s = 0 … qPos[i]`, `g = h / (heads / kvHeads)`.
 *
 * Queries carry their original positions, because skipped tokens leave gaps between them. Keys have none, but for positions that are
 * `holes`: nobody sees these.
 *
 * q [count, heads, headDim], k and v [positions, kvHeads, headDim], qPos [count] -> [count, heads, headDim]
 */
export function attention(
  q: ArrayLike<number>,
  k: ArrayLike<number>,
  v: ArrayLike<number>,
  qPos: ArrayLike<number>,
  heads: number,
  kvHeads: number,
  headDim: number,
  holes: ReadonlySet<number> = new Set(),
): Float64Array {
  const count = qPos.length
  const headsPerKvHead = heads / kvHeads
  const y = new Float64Array(count * heads * headDim)
  for (let i = 0; i < count; i++) {
    const keys = qPos[i]! + 1
    const scores = new Float64Array(keys)
    for (let h = 0; h < heads; h++) {
      const query = (i * heads + h) * headDim
      const g = Math.floor(h / headsPerKvHead)

      let largest = -Infinity
      for (let s = 0; s < keys; s++) {
        const key = (s * kvHeads + g) * headDim
        let dot = 0
        for (let j = 0; j < headDim; j++) dot += q[query + j]! * k[key + j]!
        scores[s] = holes.has(s) ? -Infinity : dot / Math.sqrt(headDim)
        largest = Math.max(largest, scores[s]!)
      }

      let total = 0
      for (let s = 0; s < keys; s++) {
        scores[s] = Math.exp(scores[s]! - largest)
        total += scores[s]!
      }

      for (let s = 0; s < keys; s++) {
        const value = (s * kvHeads + g) * headDim
        const probability = scores[s]! / total
        if (probability === 0) continue
        for (let j = 0; j < headDim; j++) y[query + j]! += probability * v[value + j]!
      }
    }
  }
  return y
}
