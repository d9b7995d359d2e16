import type { JsonObject } from '../formats/json.js'
import { inverseFrequencies } from './rope.js'

/** The settings of every Llama 3.1 to 3.3 but for the factor; their unit is a turn over the original context. */
const LOW_FREQ_FACTOR = 1
const HIGH_FREQ_FACTOR = 4
const ORIGINAL_CONTEXT = 8192

/** Converters form the factors in f32; another of the settings above would change some of them by tens of percent. */
const TOLERANCE = 1e-3

/**
 * The `rope_scaling` of config.json from which llama.cpp's converter made the factors `[headDim / 2]` of `rope_freqs.weight`
 * (pair i turns `factors[i]` times slower), or undefined where they do not come from Llama 3's. GGUF files do not hold the
 * settings, so they are recovered: the largest factor is the one of the settings, and every factor must agree with it.
 */
export function llama3Factors(factors: Float32Array, theta: number): JsonObject | undefined {
  const factor = factors.reduce((most, value) => Math.max(most, value), 0)
  if (!(factor > 1 && Number.isFinite(factor))) return undefined
  const headDim = 2 * factors.length
  const plain = inverseFrequencies({ kind: 'default', theta }, headDim)
  const scaled = inverseFrequencies(
    {
      kind: 'llama3',
      theta,
      factor,
      lowFreqFactor: LOW_FREQ_FACTOR,
      highFreqFactor: HIGH_FREQ_FACTOR,
      originalContext: ORIGINAL_CONTEXT,
    },
    headDim,
  )
  const agrees = factors.every((value, i) => Math.abs((value * scaled[i]!) / plain[i]! - 1) <= TOLERANCE)
  if (!agrees) return undefined
  return {
    rope_type: 'llama3',
    factor,
    low_freq_factor: LOW_FREQ_FACTOR,
    high_freq_factor: HIGH_FREQ_FACTOR,
    original_max_position_embeddings: ORIGINAL_CONTEXT,
  }
}
