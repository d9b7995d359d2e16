import { batchPositions } from '../../../shaders/snippets/plan.js'
import type { BoundBuffer } from '../../gpu/dispatch.js'
import type { SkipPolicy } from '../../skip/policy.js'
import type { Engine } from '../engine.js'
import { createPolicyBuffers, type PolicyBuffers } from '../sequence-buffers.js'

/** Sequences that share a step at most. */
export const BATCH_ROWS = 16

/** Values between the rows of a buffer of which each sequence binds its own: what is bound begins at a multiple of 256 bytes. */
const ALIGNMENT = 64

/** Buffers of [rows, stride] values; a row belongs to a sequence. */
export interface RowBuffer {
  readonly buffer: GPUBuffer
  readonly stride: number
}

export interface BatchBuffers extends PolicyBuffers {
  readonly plan: GPUBuffer
  readonly ids: GPUBuffer
  /** Margins [2L, capacity]. */
  readonly z: GPUBuffer
  readonly q: RowBuffer
  readonly keysValues: RowBuffer
  readonly splitSums: RowBuffer
  readonly logits: RowBuffer
  /** Attention output [rows, heads headDim]. */
  readonly attended: GPUBuffer
}

export function createBatchBuffers({ gpu, shape, capacity }: Engine, policy: SkipPolicy): BatchBuffers {
  const { heads, headDim, vocabSize } = shape.config
  const words = (label: string, count: number) => gpu.memory.storage(label, 4 * count)
  const rows = (label: string, values: number): RowBuffer => {
    const stride = Math.ceil(values / ALIGNMENT) * ALIGNMENT
    return { buffer: words(label, BATCH_ROWS * stride), stride }
  }
  return {
    ...createPolicyBuffers(gpu, shape, policy),
    plan: words('batch plan', batchPositions(shape.sublayers, capacity).firstWord + BATCH_ROWS),
    ids: words('batch ids', BATCH_ROWS),
    z: words('batch margins', capacity * shape.sublayers),
    q: rows('batch queries', shape.queryWidth),
    keysValues: rows('batch keys, values', shape.kvWidth),
    splitSums: rows('batch split sums', heads * shape.splits * (headDim + 2)),
    logits: rows('batch logits', vocabSize),
    attended: words('batch attended', BATCH_ROWS * shape.queryWidth),
  }
}

export function destroyBatchBuffers({ gpu }: Engine, buffers: BatchBuffers): void {
  const { routerStride: _, q, keysValues, splitSums, logits, ...others } = buffers
  const ofRows = [q, keysValues, splitSums, logits].map(({ buffer }) => buffer)
  for (const buffer of [...Object.values(others), ...ofRows]) gpu.memory.destroy(buffer)
}

/** What a sequence binds of such a buffer. */
export function rowOf({ buffer, stride }: RowBuffer, row: number): BoundBuffer {
  return { buffer, offset: 4 * row * stride, size: 4 * stride }
}
