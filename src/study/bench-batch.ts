import { Batch } from '../runtime/batch/batch.js'
import type { Engine } from '../runtime/engine.js'
import type { Read } from '../runtime/records.js'
import { GREEDY } from '../runtime/sampling.js'
import { Sequence } from '../runtime/sequence.js'
import { dense } from '../skip/dense.js'
import { forced } from '../skip/forced.js'
import { median } from './median.js'

/** Decoding several sequences in one step. */
export interface BatchRow {
  shape: string
  sequences: number
  /** Context of each at the start. */
  tokens: number
  /** Share asked to skip. */
  skip: number
  /** Median of one step, in which every sequence gets a token. */
  ms: number
  tokensPerSecond: number
  /** Tokens per second, against those of one sequence that decodes alone and skips as much. */
  gain: number
}

export interface BatchBenchOptions {
  shape: string
  sequences: readonly number[]
  tokens: readonly number[]
  skips: readonly number[]
  repeats: number
  signal?: AbortSignal | undefined
  progress: (text: string) => void
}

const STEPS = 8

/** Times steps of one sequence alone, and of several together: interleaved runs, medians. */
export async function benchBatches(engine: Engine, options: BatchBenchOptions): Promise<BatchRow[]> {
  const { shape, progress } = options
  const counts = [1, ...options.sequences.filter((count) => count > 1)]
  const rows: BatchRow[] = []
  for (const tokens of options.tokens) {
    for (const skip of [0, ...options.skips.filter((share) => share > 0)]) {
      const sequences = Array.from({ length: Math.max(...counts) }, () => sequenceThatSkips(engine, skip))
      const times = new Map<number, number[]>(counts.map((count) => [count, []]))
      try {
        // The first round compiles and warms up.
        for (let round = 0; round <= options.repeats; round++) {
          for (const count of counts) {
            options.signal?.throwIfAborted()
            progress(`${shape} ${count} together, ${tokens}, skip ${skip}, round ${round}\n`)
            const ms = await step(engine, sequences.slice(0, count), tokens)
            progress(`  ${ms.toFixed(2)} ms\n`)
            if (round > 0) times.get(count)?.push(ms)
          }
        }
      } finally {
        for (const sequence of sequences) sequence.destroy()
      }
      const alone = median(times.get(1) as number[])
      for (const [count, all] of times) {
        const ms = median(all)
        const tokensPerSecond = (1000 * count) / ms
        rows.push({ shape, sequences: count, tokens, skip, ms, tokensPerSecond, gain: (count * alone) / ms })
      }
    }
  }
  return rows
}

function sequenceThatSkips(engine: Engine, skip: number): Sequence {
  const { contextLength } = engine.shape.config
  return new Sequence(engine, skip === 0 ? dense : forced({ skip, seed: 1 }), { contextLength })
}

/** Milliseconds of one step, from `STEPS` of them in a submit. */
async function step(engine: Engine, sequences: readonly Sequence[], tokens: number): Promise<number> {
  for (const [i, sequence] of sequences.entries()) {
    // Every sequence is elsewhere, so that each has lots of its own.
    await sequence.assume(tokens - 1 - (i % tokens))
    await sequence.prefill([(tokens + i) % engine.shape.config.vocabSize], { sampling: GREEDY })
  }
  const [first] = sequences as [Sequence]
  const timed = async (submit: () => Promise<Read[]>) => {
    const started = performance.now()
    for (const read of await submit()) await read()
    return (performance.now() - started) / STEPS
  }
  if (sequences.length === 1) return timed(async () => [await first.decode(STEPS)])
  const batch = new Batch(engine, first.policy)
  try {
    for (const sequence of sequences) batch.join(sequence)
    // Binds what the steps need.
    for (const read of await reads(batch, sequences, 1)) await read()
    return await timed(() => reads(batch, sequences, STEPS))
  } finally {
    for (const sequence of sequences) batch.leave(sequence)
    batch.destroy()
  }
}

async function reads(batch: Batch, sequences: readonly Sequence[], steps: number): Promise<Read[]> {
  const results = await batch.decode(sequences, steps)
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason
    return result.value
  })
}
