import type { RmsNormOptions } from '../../../shaders/rms-norm.wgsl.js'
import { rmsNormBackwardShader } from '../../../shaders/rms-norm-backward.wgsl.js'
import type { GpuDevice } from '../../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../../gpu/dispatch.js'

/** Host side of shaders/rms-norm-backward.wgsl.ts. */
export async function rmsNormBackwardKernel(gpu: GpuDevice, options: Omit<RmsNormOptions, 'rows' | 'lanes'>) {
  const kernel = await gpu.pipelines.compile('rms-norm-backward', rmsNormBackwardShader(options), [
    'read',
    'read',
    'read',
    'read',
    'write',
    'uniform',
  ])
  return (
    arena: ParamsArena,
    b: { plan: GPUBuffer; x: GPUBuffer; vectors: GPUBuffer; dy: GPUBuffer; dx: GPUBuffer },
    params: { norm: number },
  ): Dispatch => bind(arena, kernel, [b.plan, b.x, b.vectors, b.dy, b.dx, [params.norm]], ({ rows }) => [rows, 1, 1])
}
