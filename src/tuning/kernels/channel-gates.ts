import { channelGatesShader } from '../../../shaders/channel-gates.wgsl.js'
import type { GpuDevice } from '../../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../../gpu/dispatch.js'

/** Host side of shaders/channel-gates.wgsl.ts. */
export async function channelGatesKernel(gpu: GpuDevice, options: { d: number; d4: number; capacity: number }) {
  const kernel = await gpu.pipelines.compile('channel-gates', channelGatesShader(options), [
    'read',
    'read',
    'write',
    'write',
    'write',
    'uniform',
  ])
  return (
    arena: ParamsArena,
    b: { plan: GPUBuffer; parameters: GPUBuffer; gates: GPUBuffer; scores: GPUBuffer; squares: GPUBuffer },
    params: { sublayer: number; bias: number },
  ): Dispatch =>
    bind(
      arena,
      kernel,
      [b.plan, b.parameters, b.gates, b.scores, b.squares, [params.sublayer, params.bias]],
      ({ rows }) => [rows, 1, 1],
    )
}
