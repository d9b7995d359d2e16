import { type GateApplyBackwardOptions, gateApplyBackwardShader } from '../../../shaders/gate-apply-backward.wgsl.js'
import type { GpuDevice } from '../../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../../gpu/dispatch.js'

/** Host side of shaders/gate-apply-backward.wgsl.ts. */
export async function gateApplyBackwardKernel(gpu: GpuDevice, options: GateApplyBackwardOptions) {
  const kernel = await gpu.pipelines.compile('gate-apply-backward', gateApplyBackwardShader(options), [
    'read',
    'read',
    'read',
    'write',
    'write',
    'uniform',
  ])
  return (
    arena: ParamsArena,
    b: { plan: GPUBuffer; dy: GPUBuffer; gates: GPUBuffer; branch: GPUBuffer; dGates: GPUBuffer },
    params: { sublayer: number },
  ): Dispatch =>
    bind(arena, kernel, [b.plan, b.dy, b.gates, b.branch, b.dGates, [params.sublayer]], ({ rows }) => [rows, 1, 1])
}
