import { type RopeBackwardOptions, ropeBackwardShader } from '../../../shaders/rope-backward.wgsl.js'
import type { GpuDevice } from '../../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../../gpu/dispatch.js'

/** Host side of shaders/rope-backward.wgsl.ts. `source` is bound with QK norm only. */
export async function ropeBackwardKernel(gpu: GpuDevice, options: RopeBackwardOptions) {
  const kernel = await gpu.pipelines.compile('rope-backward', ropeBackwardShader(options), [
    'read',
    'read',
    'read',
    options.qkNorm ? 'read' : 'none',
    'write',
    'uniform',
  ])
  return (
    arena: ParamsArena,
    b: { plan: GPUBuffer; rope: GPUBuffer; vectors: GPUBuffer; source?: GPUBuffer; dx: GPUBuffer },
    params: { norm: number },
  ): Dispatch =>
    bind(arena, kernel, [b.plan, b.rope, b.vectors, b.source, b.dx, [params.norm]], ({ rows }) => [
      options.heads,
      Math.ceil(rows / 64),
      1,
    ])
}
