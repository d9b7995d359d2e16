import { planWords } from '../../shaders/snippets/plan.js'
import type { GpuDevice } from '../gpu/device.js'
import { SETTINGS_BYTES } from '../kernels/sample.js'
import { ropeTable } from '../model/rope.js'
import type { SkipPolicy } from '../skip/policy.js'
import { routerBlocks } from './router-arena.js'
import type { RuntimeShape } from './shape.js'
import type { Target } from './target.js'

/** Words of one ring record: the token, the execute bits, and the margins where they are traced. */
export function recordStride(shape: RuntimeShape, margins: boolean): number {
  return 1 + shape.bitWords + (margins ? shape.sublayers : 0)
}

/** What a policy decides with. */
export interface PolicyBuffers {
  readonly thresholds: GPUBuffer
  /** Router weights, or a dummy where the policy has none. */
  readonly routers: GPUBuffer
  readonly routerStride: number
}

/** Buffers of one sequence that do not grow with its length. */
export interface SequenceBuffers extends PolicyBuffers {
  readonly plan: GPUBuffer
  readonly ids: GPUBuffer
  readonly ring: GPUBuffer
  /** Margins [2L, capacity]. */
  readonly z: GPUBuffer
  readonly seen: GPUBuffer
  readonly stops: GPUBuffer
  readonly settings: GPUBuffer
}

export const MAX_STOPS = 64

export function createPolicyBuffers(gpu: GpuDevice, shape: RuntimeShape, policy: SkipPolicy): PolicyBuffers {
  const scoring = policy.scoring
  const blocks = scoring?.kind === 'routers' ? routerBlocks(scoring.routers) : { data: new Float32Array(4), stride: 0 }
  const thresholds = Float32Array.from({ length: shape.sublayers }, (_, s) => policy.threshold(s))
  return {
    thresholds: gpu.memory.upload('thresholds', thresholds),
    routers: gpu.memory.upload('routers', blocks.data),
    routerStride: blocks.stride,
  }
}

export function createSequenceBuffers(
  gpu: GpuDevice,
  shape: RuntimeShape,
  policy: SkipPolicy,
  capacity: number,
  margins: boolean,
): SequenceBuffers {
  return {
    ...createPolicyBuffers(gpu, shape, policy),
    plan: gpu.memory.storage('plan', 4 * planWords(shape.sublayers, capacity)),
    ids: gpu.memory.storage('ids', 4 * capacity),
    ring: gpu.memory.storage('ring', 4 * capacity * recordStride(shape, margins)),
    z: gpu.memory.storage('margins', 4 * capacity * shape.sublayers),
    seen: gpu.memory.storage('seen', 4 * Math.ceil(shape.config.vocabSize / 32)),
    stops: gpu.memory.storage('stops', 4 * MAX_STOPS),
    settings: gpu.memory.create('settings', SETTINGS_BYTES, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST),
  }
}

/** Keys, values and RoPE rows for `positions` positions. */
export interface Cache {
  readonly positions: number
  /** One buffer per layer, [positions, 2 kvHeads headDim]: K row, then V row. */
  readonly kv: readonly GPUBuffer[]
  /** [positions, headDim] */
  readonly rope: GPUBuffer
  /** Of one query, [positions, heads]: only where scores and values come in turn. */
  readonly scores: GPUBuffer | undefined
}

export function createCache({ gpu, shape, choice }: Target, positions: number): Cache {
  const { layers, rope, heads, headDim } = shape.config
  const inTurn = choice.form.value.attention.decode === 'in turn'
  return {
    positions,
    kv: Array.from({ length: layers }, (_, i) => gpu.memory.storage(`kv ${i}`, 4 * positions * shape.kvWidth)),
    rope: gpu.memory.upload('rope', ropeTable(rope, headDim, 0, positions) as Float32Array<ArrayBuffer>),
    scores: inTurn ? gpu.memory.storage('scores', 4 * positions * heads) : undefined,
  }
}

/** Copies the first `used` positions of `from` into `to`; the copies run in order with the work already submitted. */
export function copyCache(gpu: GpuDevice, shape: RuntimeShape, from: Cache, to: Cache, used: number): void {
  const encoder = gpu.device.createCommandEncoder()
  from.kv.forEach((buffer, i) => {
    encoder.copyBufferToBuffer(buffer, 0, to.kv[i] as GPUBuffer, 0, 4 * used * shape.kvWidth)
  })
  gpu.device.queue.submit([encoder.finish()])
}

/** Copies what was decided once for a whole sequence; in order, as the cache. */
export function copyMargins(gpu: GpuDevice, { z }: SequenceBuffers, to: SequenceBuffers): void {
  const encoder = gpu.device.createCommandEncoder()
  encoder.copyBufferToBuffer(z, 0, to.z, 0, z.size)
  gpu.device.queue.submit([encoder.finish()])
}

export function destroyCache(gpu: GpuDevice, cache: Cache): void {
  for (const buffer of [...cache.kv, cache.rope, cache.scores]) if (buffer) gpu.memory.destroy(buffer)
}
