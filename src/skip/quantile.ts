import type { SkipPolicy } from './policy.js'

/** The margins of every token of some text, by sublayer, under a policy. */
export type Margins = (policy: SkipPolicy) => Promise<readonly (readonly number[])[]>

/**
 * Passes at most. A pass sets every threshold to the quantile of its scores, which are those of the thresholds before it: the k-th pass has the first
 * k right for good, and those behind them settle long before.
 */
const PASSES = 8
/** Thresholds that move less than this have settled. */
const SETTLED = 1e-5

/** Thresholds at which every sublayer skips `share` of the tokens. `from` skips nothing. */
export async function calibratedThresholds(
  policyAt: (thresholds: readonly number[]) => SkipPolicy,
  from: readonly number[],
  share: number,
  margins: Margins,
): Promise<readonly number[]> {
  let thresholds = from
  for (let pass = 0; pass < PASSES; pass++) {
    const before = thresholds
    const found = await margins(policyAt(before))
    thresholds = before.map((threshold, i) => {
      const scores = (found[i] ?? []).map((margin) => margin + threshold)
      return scores.length > 0 ? quantile(scores, share) : threshold
    })
    if (thresholds.every((threshold, i) => Math.abs(threshold - (before[i] as number)) < SETTLED)) break
  }
  return thresholds
}

/** Below or at which `share` of the values lie, between neighbours by linear interpolation. 0 and 1 leave out none and all. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const last = sorted.length - 1
  if (share === 0) return (sorted[0] as number) - 1
  if (share === 1) return (sorted[last] as number) + 1
  const at = share * last
  const low = sorted[Math.floor(at)] as number
  const high = sorted[Math.ceil(at)] as number
  return low + (high - low) * (at - Math.floor(at))
}
