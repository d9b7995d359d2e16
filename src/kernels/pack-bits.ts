import { type PackBitsOptions, packBitsShader } from '../../shaders/pack-bits.wgsl.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'

/** Host side of shaders/pack-bits.wgsl.ts. */
export async function packBitsKernel(gpu: GpuDevice, options: PackBitsOptions) {
  const kernel = await gpu.pipelines.compile('pack-bits', packBitsShader(options), ['read', 'read', 'write', 'uniform'])
  return (
    arena: ParamsArena,
    b: { plan: GPUBuffer; z: GPUBuffer; ring: GPUBuffer },
    params: { row: number },
  ): Dispatch => bind(arena, kernel, [b.plan, b.z, b.ring, [params.row]], ({ rows }) => [rows, 1, 1])
}
