import { type RopeRowsOptions, ropeRowsShader } from '../../shaders/rope-rows.wgsl.js'
import type { GpuDevice } from '../gpu/device.js'
import { type BoundBuffer, bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'

/** Host side of shaders/rope-rows.wgsl.ts. `source` is bound for keys and values only. */
export async function ropeRowsKernel(gpu: GpuDevice, options: RopeRowsOptions) {
  const kernel = await gpu.pipelines.compile('rope-rows', ropeRowsShader(options), [
    'read',
    'read',
    'read',
    options.target === 'query' ? 'none' : 'read',
    'write',
    'uniform',
  ])
  return (
    arena: ParamsArena,
    b: { plan: GPUBuffer; rope: GPUBuffer; vectors: GPUBuffer; source?: BoundBuffer; out: GPUBuffer },
    params: { slot: number; norm: number },
  ): Dispatch =>
    bind(arena, kernel, [b.plan, b.rope, b.vectors, b.source, b.out, [params.slot, params.norm]], ({ rows }) => [
      options.target === 'query' ? options.heads : 2 * options.kvHeads,
      Math.ceil(rows / 64),
      1,
    ])
}
