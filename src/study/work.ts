import { K_BLOCK } from '../../shaders/snippets/k-blocks.js'
import { rowWords, type WeightDtype } from '../../shaders/snippets/weights.js'
import type { ModelConfig } from '../model/config.js'
import { headDtypeOf } from '../model/matrix-dtypes.js'
import { executed } from '../runtime/records.js'

/** Execute bits of one position, and where it is. */
export interface Visit {
  readonly position: number
  readonly bits: Uint32Array
  /** By layer: whether keys and values were made. */
  readonly keysValues: readonly boolean[]
}

/** What one token did with its layers. */
export interface Done {
  ran(sublayer: number): boolean
  keysValues(layer: number): boolean
}

/** Of a long row; scales included. */
function bytesPerWeight(dtype: WeightDtype): number {
  const k = 2 * K_BLOCK
  return (4 * rowWords(k / 4, dtype)) / k
}

/** FLOPs of a prefill: K and V where they are made, which routers do not change, the rest where it ran, and the head once. */
export function prefillFlops(config: ModelConfig, visits: readonly Visit[]): number {
  const { hiddenSize: d, intermediateSize: ff, heads, kvHeads, headDim, layers, vocabSize } = config
  const query = heads * headDim
  const projections = 2 * d * 2 * kvHeads * headDim
  let flops = 2 * d * vocabSize
  for (const { position, bits, keysValues } of visits) {
    for (let layer = 0; layer < layers; layer++) {
      if (keysValues[layer]) flops += projections
      if (executed(bits, 2 * layer)) flops += 4 * d * query + 4 * query * (position + 1)
      if (executed(bits, 2 * layer + 1)) flops += 6 * d * ff
    }
  }
  return flops
}

/** Bytes of weights that one decode step reads: the head always, K/V projections where they are made, the rest where it ran. */
export function stepWeightBytes(config: ModelConfig, dtype: WeightDtype, { ran, keysValues }: Done): number {
  const { hiddenSize: d, intermediateSize: ff, heads, kvHeads, headDim, layers, vocabSize } = config
  let weights = 0
  for (let layer = 0; layer < layers; layer++) {
    if (keysValues(layer)) weights += d * 2 * kvHeads * headDim
    if (ran(2 * layer)) weights += 2 * d * heads * headDim
    if (ran(2 * layer + 1)) weights += 3 * d * ff
  }
  return bytesPerWeight(dtype) * weights + bytesPerWeight(headDtypeOf(dtype)) * d * vocabSize
}

/** Bytes of weights and cache that decode steps read; the cache where attention ran. */
export function decodeBytes(config: ModelConfig, dtype: WeightDtype, visits: readonly Visit[]): number {
  const cacheRow = 4 * 2 * config.kvHeads * config.headDim
  let bytes = 0
  for (const { position, bits, keysValues } of visits) {
    const done: Done = { ran: (i) => executed(bits, i), keysValues: (layer) => keysValues[layer] === true }
    bytes += stepWeightBytes(config, dtype, done)
    for (let layer = 0; layer < config.layers; layer++) {
      if (executed(bits, 2 * layer)) bytes += cacheRow * (position + 1)
    }
  }
  return bytes
}
