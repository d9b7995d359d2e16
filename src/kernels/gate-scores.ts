import { type GateScoresOptions, gateScoresShader } from '../../shaders/gate-scores.wgsl.js'
import { rowGroups } from '../../shaders/snippets/row-lanes.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'
import { lanesOfRow } from './group-lanes.js'

/** Host side of shaders/gate-scores.wgsl.ts. */
export async function gateScoresKernel(
  gpu: GpuDevice,
  options: Omit<GateScoresOptions, 'lanes'>,
  lanes: number = lanesOfRow(gpu, { isAlone: false }),
) {
  const bindings = ['read', 'write', 'read', 'write', 'uniform'] as const
  const kernel = await gpu.pipelines.compile('gate-scores', gateScoresShader({ ...options, lanes }), bindings)
  return (
    arena: ParamsArena,
    b: { plan: GPUBuffer; gates: GPUBuffer; thresholds: GPUBuffer; z: GPUBuffer },
    { sublayer }: { sublayer: number },
  ): Dispatch => bind(arena, kernel, [b.plan, b.gates, b.thresholds, b.z, [sublayer]], rowGroups({ lanes }))
}
