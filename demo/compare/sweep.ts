import { dense, forced, type Model, type PolicyRequest, skipgpt } from '../../src/index.js'
import type { Series } from './chart.js'

/** Per cent. */
const SHARES = [0, 10, 20, 30, 40, 50]

export interface SweepOptions {
  readonly signal: AbortSignal
  readonly onPhase: (text: string) => void
}

/** Loss and skip ratio on a text at each share: of the model's routers, where it has them, or by lot. */
export async function sweep(
  model: Model,
  kind: 'budget' | 'forced',
  name: string,
  ids: readonly number[],
  seed: number,
  { signal, onPhase }: SweepOptions,
): Promise<Series> {
  const points: { x: number; y: number; label: string }[] = []
  for (const share of SHARES) {
    onPhase(`${name}, ${share} % to skip`)
    const { nll, skip } = await model.evaluate([ids], { policy: at(kind, share / 100, seed), signal })
    points.push({ x: skip.total, y: nll, label: `${share} %` })
  }
  return { name, points }
}

function at(kind: 'budget' | 'forced', share: number, seed: number): PolicyRequest {
  if (share === 0) return dense() // no need to look for the threshold at which nothing is skipped
  return kind === 'budget' ? skipgpt({ budget: share }) : forced({ skip: share, seed })
}
