import { channelGatesApplyShader } from '../../../shaders/channel-gates-apply.wgsl.js'
import type { GpuDevice } from '../../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../../gpu/dispatch.js'

/** Host side of shaders/channel-gates-apply.wgsl.ts. */
export async function channelGatesApplyKernel(gpu: GpuDevice, options: { d4: number; capacity: number }) {
  const kernel = await gpu.pipelines.compile('channel-gates-apply', channelGatesApplyShader(options), [
    'read',
    'read',
    'read',
    'read',
    'read',
    'write',
    'uniform',
  ])
  return (
    arena: ParamsArena,
    b: { plan: GPUBuffer; x: GPUBuffer; kept: GPUBuffer; gates: GPUBuffer; branch: GPUBuffer; y: GPUBuffer },
    params: { sublayer: number },
  ): Dispatch =>
    bind(arena, kernel, [b.plan, b.x, b.kept, b.gates, b.branch, b.y, [params.sublayer]], ({ rows }) => [
      Math.ceil(options.d4 / 64),
      rows,
      1,
    ])
}
