import { type MergeSplitsOptions, mergeSplitsShader } from '../../shaders/merge-splits.wgsl.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'

/** Host side of shaders/merge-splits.wgsl.ts. */
export async function mergeSplitsKernel(gpu: GpuDevice, options: MergeSplitsOptions) {
  const kernel = await gpu.pipelines.compile('merge-splits', mergeSplitsShader(options), ['read', 'read', 'write'])
  return (arena: ParamsArena, b: { plan: GPUBuffer; splitSums: GPUBuffer; out: GPUBuffer }): Dispatch =>
    bind(arena, kernel, [b.plan, b.splitSums, b.out], ({ rows }) => [
      Math.ceil((options.heads * options.headDim) / 256),
      rows,
      1,
    ])
}
