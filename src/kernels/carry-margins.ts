import { carryMarginsShader } from '../../shaders/carry-margins.wgsl.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'

/** Host side of shaders/carry-margins.wgsl.ts. */
export async function carryMarginsKernel(gpu: GpuDevice, options: { sublayers: number; capacity: number }) {
  const bindings = ['read', 'write', 'uniform'] as const
  const kernel = await gpu.pipelines.compile('carry-margins', carryMarginsShader(options), bindings)
  return (arena: ParamsArena, b: { own: GPUBuffer; z: GPUBuffer }, { row }: { row: number }): Dispatch =>
    bind(arena, kernel, [b.own, b.z, [row]], () => [1, 1, 1])
}
