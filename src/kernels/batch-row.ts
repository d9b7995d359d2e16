import { batchRowShader } from '../../shaders/batch-row.wgsl.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'

/** Host side of shaders/batch-row.wgsl.ts. */
export async function batchRowKernel(gpu: GpuDevice, positions: { readonly firstWord: number }) {
  const bindings = ['read', 'read', 'write', 'write', 'uniform'] as const
  const kernel = await gpu.pipelines.compile('batch-row', batchRowShader(positions), bindings)
  return (
    arena: ParamsArena,
    b: { own: GPUBuffer; ownIds: GPUBuffer; plan: GPUBuffer; ids: GPUBuffer },
    params: { row: number },
  ): Dispatch => bind(arena, kernel, [b.own, b.ownIds, b.plan, b.ids, [params.row]], () => [1, 1, 1])
}
