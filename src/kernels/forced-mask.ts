import { type ForcedMaskOptions, forcedMaskShader } from '../../shaders/forced-mask.wgsl.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'

/** Host side of shaders/forced-mask.wgsl.ts. */
export async function forcedMaskKernel(gpu: GpuDevice, options: ForcedMaskOptions) {
  const kernel = await gpu.pipelines.compile('forced-mask', forcedMaskShader(options), [
    options.writesPlan ? 'write' : 'read',
    'read',
    'write',
    'uniform',
  ])
  return (
    arena: ParamsArena,
    b: { plan: GPUBuffer; thresholds: GPUBuffer; z: GPUBuffer },
    params: { sublayer: number; seed: number },
  ): Dispatch =>
    bind(arena, kernel, [b.plan, b.thresholds, b.z, [params.sublayer, params.seed]], ({ rows }) => [
      Math.ceil(rows / 64),
      1,
      1,
    ])
}
