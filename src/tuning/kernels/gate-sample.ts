import { gateSampleShader } from '../../../shaders/gate-sample.wgsl.js'
import type { GpuDevice } from '../../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../../gpu/dispatch.js'

/** Host side of shaders/gate-sample.wgsl.ts. */
export async function gateSampleKernel(gpu: GpuDevice, options: { capacity: number }) {
  const kernel = await gpu.pipelines.compile('gate-sample', gateSampleShader(options), [
    'read',
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
      logits: GPUBuffer
      parameters: GPUBuffer
      noise: GPUBuffer
      gates: GPUBuffer
      soft: GPUBuffer
    },
    params: { sublayer: number; bias: number },
  ): Dispatch =>
    bind(
      arena,
      kernel,
      [b.plan, b.settings, b.logits, b.parameters, b.noise, b.gates, b.soft, [params.sublayer, params.bias]],
      ({ rows }) => [Math.ceil(rows / 64), 1, 1],
    )
}
