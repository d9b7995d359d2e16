import {
  type ChannelGatesBackwardOptions,
  channelGatesBackwardShader,
} from '../../../shaders/channel-gates-backward.wgsl.js'
import type { GpuDevice } from '../../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../../gpu/dispatch.js'

/** Host side of shaders/channel-gates-backward.wgsl.ts. */
export async function channelGatesBackwardKernel(gpu: GpuDevice, options: ChannelGatesBackwardOptions) {
  const kernel = await gpu.pipelines.compile('channel-gates-backward', channelGatesBackwardShader(options), [
    'read',
    'read',
    'read',
    'read',
    'write',
    'write',
    'uniform',
  ])
  return (
    arena: ParamsArena,
    b: {
      plan: GPUBuffer
      settings: GPUBuffer
      dy: GPUBuffer
      kept: GPUBuffer
      gates: GPUBuffer
      branch: GPUBuffer
    },
    params: { sublayer: number },
  ): Dispatch =>
    bind(arena, kernel, [b.plan, b.settings, b.dy, b.kept, b.gates, b.branch, [params.sublayer]], ({ rows }) => [
      Math.ceil(options.d4 / 64),
      rows,
      1,
    ])
}
