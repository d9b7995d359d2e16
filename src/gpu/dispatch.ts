import { SkipstoneError } from '../errors.js'
import type { GpuDevice } from './device.js'
import type { CompiledKernel } from './pipelines.js'

/** What the sizes of a submit's dispatches depend on. */
export interface Extent {
  /** Rows in the chunk. */
  rows: number
  /** The longest context, in positions, that any step of the submit attends to. */
  context: number
}

export type Grid = readonly [x: number, y: number, z: number]

/** One kernel with everything bound, ready to be recorded any number of times. */
export interface Dispatch {
  readonly label: string
  readonly pipeline: GPUComputePipeline
  readonly bindGroup: GPUBindGroup
  readonly grid: (extent: Extent) => Grid
  /** Another dispatch that does the same better for some extents. */
  readonly variant?: (extent: Extent) => Dispatch
}

/** A buffer, or a part of one. */
export type BoundBuffer = GPUBuffer | { readonly buffer: GPUBuffer; readonly offset: number; readonly size: number }

/** A buffer, or the numbers of a kernel's `Params`, bound at the same place in the list of bindings. */
export type Bound = BoundBuffer | Params | undefined

/** Numbers of a uniform struct in order: u32 unless wrapped as `{ f32 }`. */
export type Params = readonly (number | { f32: number })[]

/**
 * Owns the small uniform buffers of a list of dispatches, so that they can be destroyed together. What is still being made for it then
 * fails with `disposed`.
 */
export class ParamsArena {
  readonly #buffers: GPUBuffer[] = []
  #destroyed = false

  constructor(readonly gpu: GpuDevice) {}

  add(params: Params): GPUBuffer {
    if (this.#destroyed) throw new SkipstoneError('disposed', 'This is gone: make it again.')
    const view = new DataView(new ArrayBuffer(Math.ceil(params.length / 4) * 16))
    params.forEach((value, i) => {
      if (typeof value === 'number') view.setUint32(4 * i, value, true)
      else view.setFloat32(4 * i, value.f32, true)
    })
    const buffer = this.gpu.memory.create('params', view.byteLength, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST)
    this.gpu.device.queue.writeBuffer(buffer, 0, view.buffer)
    this.#buffers.push(buffer)
    return buffer
  }

  destroy(): void {
    this.#destroyed = true
    for (const buffer of this.#buffers) this.gpu.memory.destroy(buffer)
    this.#buffers.length = 0
  }
}

/** Binds a compiled kernel; `resources` follow the kernel's list of bindings. */
export function bind(
  arena: ParamsArena,
  kernel: CompiledKernel,
  resources: readonly Bound[],
  grid: (extent: Extent) => Grid,
): Dispatch {
  const entries: GPUBindGroupEntry[] = []
  resources.forEach((resource, binding) => {
    if (resource === undefined || kernel.bindings[binding] === 'none') return
    const bound = Array.isArray(resource) ? arena.add(resource as Params) : (resource as BoundBuffer)
    entries.push({ binding, resource: 'offset' in bound ? bound : { buffer: bound } })
  })
  const bindGroup = arena.gpu.device.createBindGroup({ label: kernel.label, layout: kernel.layout, entries })
  return { label: kernel.label, pipeline: kernel.pipeline, bindGroup, grid }
}

/** Records dispatches in order into one pass; returns how many were recorded. */
export function record(pass: GPUComputePassEncoder, dispatches: readonly Dispatch[], extent: Extent): number {
  for (const dispatch of dispatches) {
    const { pipeline, bindGroup, grid } = dispatch.variant?.(extent) ?? dispatch
    const [x, y, z] = grid(extent)
    pass.setPipeline(pipeline)
    pass.setBindGroup(0, bindGroup)
    pass.dispatchWorkgroups(x, y, z)
  }
  return dispatches.length
}
