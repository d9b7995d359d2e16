import { type ForcedMaskOptions, forcedMaskShader } from '../../shaders/forced-mask.wgsl.js'
import { rowGroups } from '../../shaders/snippets/row-lanes.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'
import { lanesOfRow } from './group-lanes.js'
import type { RouterBuffers } from './router-linear.js'

/** Host side of shaders/forced-mask.wgsl.ts. `x`, `vectors` and `u` are bound where it normalises on the way. */
export async function forcedMaskKernel(gpu: GpuDevice, options: Omit<ForcedMaskOptions, 'lanes'>) {
  const { norm, writesPlan } = options
  const lanes = norm ? lanesOfRow(gpu, { isAlone: writesPlan }) : 1
  const kernel = await gpu.pipelines.compile('forced-mask', forcedMaskShader({ ...options, lanes }), [
    writesPlan ? 'write' : 'read',
    'read',
    'write',
    'uniform',
    norm ? 'read' : 'none',
    norm ? 'read' : 'none',
    norm ? 'write' : 'none',
  ])
  return (
    arena: ParamsArena,
    b: Pick<RouterBuffers, 'plan' | 'thresholds' | 'z'> & Partial<RouterBuffers>,
    params: { sublayer: number; seed: number; norm: number },
  ): Dispatch => {
    const numbers = [params.sublayer, params.seed, params.norm]
    return bind(arena, kernel, [b.plan, b.thresholds, b.z, numbers, b.x, b.vectors, b.u], rowGroups({ lanes }))
  }
}
