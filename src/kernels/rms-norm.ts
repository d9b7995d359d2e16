import { type RmsNormOptions, rmsNormShader } from '../../shaders/rms-norm.wgsl.js'
import { rowGroups } from '../../shaders/snippets/row-lanes.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'
import { lanesOfRow } from './group-lanes.js'

/** Host side of shaders/rms-norm.wgsl.ts. */
export async function rmsNormKernel(
  gpu: GpuDevice,
  options: Omit<RmsNormOptions, 'lanes'>,
  lanes: number = lanesOfRow(gpu, { isAlone: false }),
) {
  const kernel = await gpu.pipelines.compile('rms-norm', rmsNormShader({ ...options, lanes }), [
    'read',
    'read',
    'read',
    'write',
    'uniform',
  ])
  return (
    arena: ParamsArena,
    b: { plan: GPUBuffer; x: GPUBuffer; vectors: GPUBuffer; u: GPUBuffer },
    params: { slot: number; norm: number },
  ): Dispatch => bind(arena, kernel, [b.plan, b.x, b.vectors, b.u, [params.slot, params.norm]], rowGroups({ lanes }))
}
