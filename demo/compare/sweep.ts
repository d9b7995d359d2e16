import { dense, type Model } from '../../src/index.js'
import type { Series } from './chart.js'
import { policyRequest, type Setting } from './setting.js'

/** Per cent. */
const SHARES = [0, 10, 20, 30, 40, 50]

export interface SweepOptions {
  readonly signal: AbortSignal
  readonly onPhase: (text: string) => void
}

/** Loss and skip ratio on a text at each share of a policy that takes one. */
export async function sweep(
  model: Model,
  setting: Setting,
  name: string,
  ids: readonly number[],
  seed: number,
  { signal, onPhase }: SweepOptions,
): Promise<Series> {
  const points: { x: number; y: number; label: string }[] = []
  for (const share of SHARES) {
    onPhase(`${name}, ${share} % to skip`)
    // No need to look for the threshold at which nothing is skipped.
    const policy = share === 0 ? dense() : policyRequest({ ...setting, share }, seed)
    const { nll, skip } = await model.evaluate([ids], { policy, signal })
    points.push({ x: skip.total, y: nll, label: `${share} %` })
  }
  return { name, points }
}
