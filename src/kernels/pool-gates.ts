import { poolGatesShader } from '../../shaders/pool-gates.wgsl.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'

/** Host side of shaders/pool-gates.wgsl.ts. */
export async function poolGatesKernel(gpu: GpuDevice, options: { readonly capacity: number }) {
  const bindings = ['read', 'read', 'read', 'write', 'uniform'] as const
  const kernel = await gpu.pipelines.compile('pool-gates', poolGatesShader(options), bindings)
  return (
    arena: ParamsArena,
    b: { plan: GPUBuffer; gates: GPUBuffer; thresholds: GPUBuffer; z: GPUBuffer },
    { sublayer }: { sublayer: number },
  ): Dispatch => bind(arena, kernel, [b.plan, b.gates, b.thresholds, b.z, [sublayer]], () => [1, 1, 1])
}
