import { SkipstoneError } from '../errors.js'
import { readBuffer } from '../gpu/readback.js'
import { compareStates, comparisons } from '../runtime/compare-states.js'
import type { Engine } from '../runtime/engine.js'
import { Sequence } from '../runtime/sequence.js'
import { dense } from '../skip/dense.js'
import type { ProfiledModel, SkipProfile } from '../skip/profile.js'
import type { RouterWeights } from '../skip/router-weights.js'
import { checksum } from '../storage/checksum.js'
import { MarginStatistics } from './margin-statistics.js'

/** Ids that a profile keeps of its text. */
const SAMPLE = 256

export interface CalibrateOptions {
  text: SkipProfile['text']
  /** The model's, where it has some. */
  routers?: RouterWeights | undefined
  contextLength: number
  signal?: AbortSignal | undefined
  /** Windows done and to do. */
  onProgress?: ((done: number, all: number) => void) | undefined
}

/** What tells a model from others of the same shape. */
export async function profiledModel({ gpu, weights, shape }: Engine): Promise<ProfiledModel> {
  const { vectors } = weights
  const words = await readBuffer(gpu, vectors, vectors.size)
  const bytes = new Uint8Array(words.buffer as ArrayBuffer, words.byteOffset, words.byteLength)
  return { layers: shape.config.layers, fingerprint: checksum(bytes) }
}

/**
 * One dense pass over windows of ids, each from an empty cache, in which the GPU compares the residual stream before and behind every
 * sublayer, and routers are asked what they would decide. The means are over all tokens of all windows, as the papers of AdaSkip and ShortGPT
 * have them.
 * @throws `bad-option` where there is no token, `context-full`, `aborted`, `device-lost`.
 */
export async function calibrate(
  engine: Engine,
  windows: readonly (readonly number[])[],
  options: CalibrateOptions,
): Promise<SkipProfile> {
  const { contextLength, signal, text, routers } = options
  const { layers } = engine.shape.config
  const values = 2 * comparisons(layers)
  const sums = new Float64Array(values)
  let tokens = 0
  const margins = routers && new MarginStatistics(routers, layers)
  const sequence = new Sequence(engine, margins?.policy ?? dense, { contextLength, margins: margins !== undefined })
  try {
    for (const [i, window] of windows.entries()) {
      let compared = await compareStates(sequence, window, signal)
      while (margins?.add(compared.records) === false) {
        sequence.usePolicy(margins.policy)
        compared = await compareStates(sequence, window, signal)
      }
      for (const part of compared.parts) {
        for (const [at, value] of part.entries()) sums[at % values] = (sums[at % values] as number) + value
      }
      tokens += window.length
      options.onProgress?.(i + 1, windows.length)
    }
  } finally {
    sequence.destroy()
  }
  if (tokens === 0) throw new SkipstoneError('bad-option', 'There is nothing to calibrate on: give a text.')
  const mean = (first: number, count: number, which: 'cosine' | 'ratio') =>
    Array.from({ length: count }, (_, i) => (sums[2 * (first + i) + (which === 'cosine' ? 0 : 1)] as number) / tokens)
  return {
    format: 'skipstone-profile',
    version: 1,
    model: await profiledModel(engine),
    text,
    tokens,
    sample: (windows.find((window) => window.length > 1) ?? windows[0] ?? []).slice(0, SAMPLE),
    similarity: mean(0, 2 * layers, 'cosine'),
    scale: mean(0, 2 * layers, 'ratio'),
    layerSimilarity: mean(2 * layers, layers, 'cosine'),
    ...(margins && { margins: margins.found }),
  }
}
