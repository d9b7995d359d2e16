import { type AppendRowsOptions, appendRowsShader } from '../../shaders/append-rows.wgsl.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'

/** Host side of shaders/append-rows.wgsl.ts. */
export async function appendRowsKernel(gpu: GpuDevice, options: AppendRowsOptions) {
  const { caches, kvHeads } = options
  const written = Array.from({ length: caches }, () => 'write' as const)
  const bindings = ['read', 'read', 'read', 'read', 'uniform', ...written] as const
  const kernel = await gpu.pipelines.compile('append-rows', appendRowsShader(options), bindings)
  return (
    arena: ParamsArena,
    b: { plan: GPUBuffer; rope: GPUBuffer; vectors: GPUBuffer; source: GPUBuffer; caches: readonly GPUBuffer[] },
    params: { norm: number; rows: readonly number[] },
  ): Dispatch => {
    const numbers = [params.norm, 0, 0, 0, ...params.rows]
    return bind(arena, kernel, [b.plan, b.rope, b.vectors, b.source, numbers, ...b.caches], () => [
      2 * kvHeads,
      caches,
      1,
    ])
  }
}
