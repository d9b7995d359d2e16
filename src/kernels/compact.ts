import { type CompactOptions, compactShader } from '../../shaders/compact.wgsl.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'

/** Host side of shaders/compact.wgsl.ts. Barriers take a CPU far longer than the rows do. */
export async function compactKernel(
  gpu: GpuDevice,
  options: Omit<CompactOptions, 'lanes'>,
  lanes: number = gpu.isSoftware ? 1 : 256,
) {
  const kernel = await gpu.pipelines.compile('compact', compactShader({ ...options, lanes }), [
    'read',
    'write',
    'uniform',
  ])
  return (arena: ParamsArena, b: { z: GPUBuffer; plan: GPUBuffer }, params: { sublayer: number }): Dispatch =>
    bind(arena, kernel, [b.z, b.plan, [params.sublayer]], () => [options.count, 1, 1])
}
