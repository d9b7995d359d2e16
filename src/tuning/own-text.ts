import { throwIfAborted } from '../errors.js'
import { pcgHash } from '../kernels/reference/random.js'
import type { Engine } from '../runtime/engine.js'
import { generateTokens } from '../runtime/generate.js'
import { GREEDY } from '../runtime/sampling.js'
import { Sequence } from '../runtime/sequence.js'
import { dense } from '../skip/dense.js'

/** Sequences that are sampled at the same time: they share their steps. */
const TOGETHER = 8

export interface OwnTextOptions {
  readonly windows: number
  readonly length: number
  readonly bos: number
  /** Tokens that end a text; a new one begins behind. */
  readonly ends: ReadonlySet<number>
  readonly seed: number
  readonly signal?: AbortSignal | undefined
  /** Windows done and to do. */
  readonly onProgress?: ((done: number, all: number) => void) | undefined
}

/**
 * Windows that the model samples itself at temperature 1 from BOS, a new BOS behind each end. The same for a seed, in whatever order they are
 * done.
 */
export async function sampleWindows(engine: Engine, options: OwnTextOptions): Promise<number[][]> {
  const { windows: count, length, onProgress } = options
  const windows: number[][] = []
  let next = 0
  let done = 0
  const work = async () => {
    const sequence = new Sequence(engine, dense, { contextLength: length })
    try {
      while (next < count) {
        const i = next++
        windows[i] = await sampleWindow(sequence, i, options)
        onProgress?.(++done, count)
      }
    } catch (error) {
      // The others begin no more.
      next = count
      throw error
    } finally {
      sequence.destroy()
    }
  }
  const results = await Promise.allSettled(Array.from({ length: Math.min(TOGETHER, count) }, work))
  const failed = results.find((result) => result.status === 'rejected')
  if (failed) throw failed.reason
  return windows
}

async function sampleWindow(
  sequence: Sequence,
  index: number,
  { length, bos, ends, seed, signal }: OwnTextOptions,
): Promise<number[]> {
  const ids = [bos]
  while (ids.length < length) {
    throwIfAborted(signal)
    sequence.rewind(0)
    // Every text of a window draws anew.
    const sampling = { ...GREEDY, temperature: 1, seed: pcgHash(seed, index, ids.length), stopIds: [...ends] }
    const more = { maxTokens: length - ids.length, contextLength: length, seen: [], signal }
    for await (const event of generateTokens(sequence, [...ids], { sampling, ...more })) {
      if (event.kind === 'token') ids.push(event.token)
      if (event.kind === 'stop') ids.push(event.token, bos)
    }
  }
  return ids.slice(0, length)
}
