import { quantileMarginsShader } from '../../shaders/quantile-margins.wgsl.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'

/** Host side of shaders/quantile-margins.wgsl.ts. */
export async function quantileMarginsKernel(
  gpu: GpuDevice,
  { capacity, share }: { readonly capacity: number; readonly share: number },
) {
  const kernel = await gpu.pipelines.compile('quantile-margins', quantileMarginsShader({ capacity }), [
    'read',
    'write',
    'uniform',
  ])
  return (arena: ParamsArena, b: { plan: GPUBuffer; z: GPUBuffer }, { sublayer }: { sublayer: number }): Dispatch =>
    bind(arena, kernel, [b.plan, b.z, [sublayer, { f32: share }]], () => [1, 1, 1])
}
