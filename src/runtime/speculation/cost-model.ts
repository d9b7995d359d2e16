/** What drafting and verifying cost, in dense decode steps, and how often a drafted token is accepted. */
export interface Costs {
  /** Share of drafted tokens that are accepted, of those that are judged. */
  readonly acceptance: number
  /** Of one drafted token, c. */
  readonly draft: number
  /** Of verifying a draft of k tokens, a pass over k + 1 positions. */
  verify(k: number): number
}

/** Tokens that a round with a draft of k gives on average: (1 − α^(k + 1)) / (1 − α). */
export function tokensPerRound(acceptance: number, k: number): number {
  return acceptance >= 1 ? k + 1 : (1 - acceptance ** (k + 1)) / (1 - acceptance)
}

/**
 * How many times as fast as dense decoding drafts of k are: tokens of a round over k c + v(k), the cost model of arXiv 2211.17192 (theorem 3.8)
 * with a measured cost of verification. No draft at all is dense decoding.
 */
export function speedup({ acceptance, draft, verify }: Costs, k: number): number {
  return k === 0 ? 1 : tokensPerRound(acceptance, k) / (k * draft + verify(k))
}

/** The length of 0 .. `most` that is fastest; the shorter one of equals. */
export function bestLength(costs: Costs, most: number): number {
  let best = 0
  for (let k = 1; k <= most; k++) if (speedup(costs, k) > speedup(costs, best)) best = k
  return best
}

/**
 * What verification costs at lengths that were not measured: on a line between those that were, the first of which is one step for a draft of none; as the
 * longest one beyond. That is hopeful, so that it is tried and measured.
 */
export function between(measured: ReadonlyMap<number, number>, k: number): number {
  const points = [[0, 1] as const, ...measured].sort(([a], [b]) => a - b)
  const above = points.find(([at]) => at >= k)
  const [from, low] = points.findLast(([at]) => at <= k) as readonly [number, number]
  if (!above || above[0] === from) return low
  const [to, high] = above
  return low + ((high - low) * (k - from)) / (to - from)
}
