import type { Engine } from '../runtime/engine.js'
import { Sequence } from '../runtime/sequence.js'
import { readStates } from '../runtime/states.js'
import type { SkipPolicy } from '../skip/policy.js'

/** How the states of a text's tokens become one: that of its last token, or their mean. */
export type Pooling = 'last' | 'mean'

export interface EmbedSettings {
  readonly contextLength: number
  readonly pooling: Pooling
  /** Scale to length 1. */
  readonly normalise: boolean
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((done: number, all: number) => void) | undefined
}

/** One vector [hidden_size] for each list of ids, from the states behind the final norm; each text from an empty cache. */
export async function embed(
  engine: Engine,
  policy: SkipPolicy,
  texts: readonly (readonly number[])[],
  { contextLength, pooling, normalise, signal, onProgress }: EmbedSettings,
): Promise<Float32Array[]> {
  const sequence = new Sequence(engine, policy, { contextLength })
  const vectors: Float32Array[] = []
  try {
    for (const ids of texts) {
      const rows = await readStates(sequence, ids, signal)
      const vector = pooling === 'last' ? (rows.at(-1) as Float32Array).slice() : mean(rows)
      vectors.push(normalise ? unit(vector) : vector)
      onProgress?.(vectors.length, texts.length)
    }
  } finally {
    sequence.destroy()
  }
  return vectors
}

function mean(rows: readonly Float32Array[]): Float32Array {
  const [first] = rows as [Float32Array, ...Float32Array[]]
  return first.map((_, i) => rows.reduce((sum, row) => sum + (row[i] as number), 0) / rows.length)
}

function unit(vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector)
  return length === 0 ? vector : vector.map((value) => value / length)
}
