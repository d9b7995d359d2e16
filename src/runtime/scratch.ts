import type { GpuDevice } from '../gpu/device.js'
import type { RuntimeShape } from './shape.js'

/**
 * Activations of one chunk. They live only within a submit, so all sequences of an engine share them; submits run in
 * order.
 */
export interface Scratch {
  /** Residual stream [capacity, d]. */
  readonly x: GPUBuffer
  /** Normalised rows [capacity, d]. */
  readonly u: GPUBuffer
  /** Queries, compact [capacity, heads headDim]. */
  readonly q: GPUBuffer
  /** Attention output, compact [capacity, heads headDim]. */
  readonly attended: GPUBuffer
  /** Keys and values before RoPE [capacity, 2 kvHeads headDim]. */
  readonly keysValues: GPUBuffer
  /** Inner activation of the MLP, compact [capacity, intermediate]. */
  readonly inner: GPUBuffer
  /** Parts of the decode attention. */
  readonly splitSums: GPUBuffer
  /** Logits of the last row [vocab]. */
  readonly logits: GPUBuffer
}

export function createScratch(gpu: GpuDevice, shape: RuntimeShape, capacity: number): Scratch {
  const f32 = (label: string, values: number) => gpu.memory.storage(label, 4 * values)
  const { heads, headDim, vocabSize } = shape.config
  return {
    x: f32('residual', capacity * shape.d4 * 4),
    u: f32('normalised', capacity * shape.d4 * 4),
    q: f32('queries', capacity * shape.queryWidth),
    attended: f32('attended', capacity * shape.queryWidth),
    keysValues: f32('keys, values', capacity * shape.kvWidth),
    inner: f32('inner', capacity * shape.ff4 * 4),
    splitSums: f32('split sums', heads * shape.splits * (headDim + 2)),
    logits: f32('logits', vocabSize),
  }
}
