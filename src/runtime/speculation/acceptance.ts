/** A token in the place of a drafted one, or that one. */
export interface Judged {
  readonly token: number
  readonly accepted: boolean
}

/**
 * Speculative sampling (arXiv 2302.01318, algorithm 2; 2211.17192, theorem 1): a token that was drawn from q is accepted with probability
 * min(1, p / q); in the place of one that is not stands a draw from normalise(max(0, p − q)). Either way the token is distributed as p.
 *
 * p, q [vocab], each with sum 1; `accept` and `draw` are independent, uniform in [0, 1).
 */
export function judge(
  p: Float64Array,
  q: Float64Array,
  drafted: number,
  lots: { readonly accept: number; readonly draw: number },
): Judged {
  const [wanted, had] = [p[drafted] as number, q[drafted] as number]
  // Rounding on the GPU may draw what q just leaves out.
  if (lots.accept * had < wanted) return { token: drafted, accepted: true }
  const rest = p.map((value, i) => Math.max(0, value - (q[i] as number)))
  return { token: draw(rest, lots.draw), accepted: false }
}

/** The token at which the running sum of weights [vocab] exceeds the share `lot` in [0, 1) of all. One weight at least is above 0. */
export function draw(weights: Float64Array, lot: number): number {
  let total = 0
  for (const weight of weights) total += weight
  let left = lot * total
  let last = 0
  for (let id = 0; id < weights.length; id++) {
    const weight = weights[id] as number
    if (weight <= 0) continue
    last = id
    left -= weight
    if (left < 0) break
  }
  return last
}
