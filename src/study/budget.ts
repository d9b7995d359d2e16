import type { Engine } from '../runtime/engine.js'
import { generateTokens } from '../runtime/generate.js'
import { GREEDY } from '../runtime/sampling.js'
import { Sequence } from '../runtime/sequence.js'
import { Trace } from '../runtime/trace.js'
import { dense } from '../skip/dense.js'
import type { SkipPolicy } from '../skip/policy.js'

const CALIBRATION_TOKENS = 256
const ROUNDS = 16
/** Shares this close are equal on a text of this length. */
const CLOSE = 0.002

/** Text that the model samples itself at temperature 1 from its BOS, `tokens` with it: in distribution, and nothing to download. */
export async function sampleText(
  engine: Engine,
  contextLength: number,
  signal?: AbortSignal,
  tokens = CALIBRATION_TOKENS,
): Promise<number[]> {
  const { bosTokenId } = engine.shape.config
  const ids = [bosTokenId ?? 0]
  const sequence = new Sequence(engine, dense, { contextLength })
  try {
    const maxTokens = Math.min(tokens, contextLength) - 1
    const options = { sampling: { ...GREEDY, temperature: 1, seed: 1 }, maxTokens, contextLength, seen: [], signal }
    for await (const event of generateTokens(sequence, [...ids], options)) {
      if (event.kind === 'token') ids.push(event.token)
    }
    return ids
  } finally {
    sequence.destroy()
  }
}

/** What a policy decides on each of these texts of ids: the margins of every position, by sublayer, and the share of sublayer visits that it skips. */
export async function decisions(
  engine: Engine,
  policy: SkipPolicy,
  texts: readonly (readonly number[])[],
  { contextLength, signal }: { contextLength: number; signal?: AbortSignal | undefined },
): Promise<{ margins: number[][]; skipped: number }> {
  const trace = new Trace(engine.shape.config.layers)
  const margins: number[][] = []
  for (const ids of texts) {
    const sequence = new Sequence(engine, policy, { contextLength, margins: true })
    try {
      const { records } = await sequence.prefill(ids, signal ? { signal } : {})
      trace.push(...records)
      margins.push(...records.map((r) => Array.from(r.margins ?? [])))
    } finally {
      sequence.destroy()
    }
  }
  return { margins, skipped: trace.ratios().total }
}

/**
 * The δ at which `policyAt(δ)` skips `budget` of the sublayer visits on these texts of ids, by bisection: skipping changes what later
 * routers read, so every candidate is run. `budget` is a share between 0 and 1.
 */
export async function calibrateDelta(
  engine: Engine,
  policyAt: (delta: number) => SkipPolicy,
  budget: number,
  texts: readonly (readonly number[])[],
  options: { contextLength: number; signal?: AbortSignal | undefined },
): Promise<number> {
  const run = (delta: number) => decisions(engine, policyAt(delta), texts, options)
  const margins = (await run(0)).margins.flat()
  let low = margins.reduce((least, margin) => Math.min(least, margin), Number.POSITIVE_INFINITY)
  let high = margins.reduce((most, margin) => Math.max(most, margin), Number.NEGATIVE_INFINITY)
  let best = { delta: 0, distance: Number.POSITIVE_INFINITY }
  for (let round = 0; round < ROUNDS && low < high; round++) {
    const delta = (low + high) / 2
    const { skipped } = await run(delta)
    const distance = Math.abs(skipped - budget)
    if (distance < best.distance) best = { delta, distance }
    if (distance <= CLOSE) break
    if (skipped < budget) low = delta
    else high = delta
  }
  return best.delta
}
