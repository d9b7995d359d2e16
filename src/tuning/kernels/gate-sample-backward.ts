import { gateSampleBackwardShader } from '../../../shaders/gate-sample-backward.wgsl.js'
import type { GpuDevice } from '../../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../../gpu/dispatch.js'

/** Host side of shaders/gate-sample-backward.wgsl.ts. */
export async function gateSampleBackwardKernel(gpu: GpuDevice, options: { capacity: number }) {
  const kernel = await gpu.pipelines.compile('gate-sample-backward', gateSampleBackwardShader(options), [
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
    b: {
      plan: GPUBuffer
      settings: GPUBuffer
      losses: GPUBuffer
      soft: GPUBuffer
      dGates: GPUBuffer
      dLogits: GPUBuffer
    },
    params: { sublayer: number },
  ): Dispatch =>
    bind(arena, kernel, [b.plan, b.settings, b.losses, b.soft, b.dGates, b.dLogits, [params.sublayer]], ({ rows }) => [
      Math.ceil(rows / 64),
      1,
      1,
    ])
}
