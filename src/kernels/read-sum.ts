import { readSumShader } from '../../shaders/read-sum.wgsl.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'

/** Host side of shaders/read-sum.wgsl.ts. */
export async function readSumKernel(gpu: GpuDevice, options: { groups: number; perInvocation: number }) {
  const kernel = await gpu.pipelines.compile('read-sum', readSumShader(options), ['read', 'write'])
  return (arena: ParamsArena, b: { source: GPUBuffer; sums: GPUBuffer }): Dispatch =>
    bind(arena, kernel, [b.source, b.sums], () => [options.groups, 1, 1])
}
