import { type GateBottleneckOptions, gateBottleneckShader } from '../../shaders/gate-bottleneck.wgsl.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'

/** Host side of shaders/gate-bottleneck.wgsl.ts. */
export async function gateBottleneckKernel(gpu: GpuDevice, options: GateBottleneckOptions) {
  const bindings = ['read', 'read', 'read', 'read', 'write', 'write', 'uniform'] as const
  const kernel = await gpu.pipelines.compile('gate-bottleneck', gateBottleneckShader(options), bindings)
  return (
    arena: ParamsArena,
    b: {
      plan: GPUBuffer
      hidden: GPUBuffer
      vectors: GPUBuffer
      thresholds: GPUBuffer
      gates: GPUBuffer
      z: GPUBuffer
    },
    { sublayer, head, bias }: { sublayer: number; head: number; bias: number },
  ): Dispatch =>
    bind(
      arena,
      kernel,
      [b.plan, b.hidden, b.vectors, b.thresholds, b.gates, b.z, [sublayer, head, { f32: bias }]],
      ({ rows }) => [rows, 1, 1],
    )
}
