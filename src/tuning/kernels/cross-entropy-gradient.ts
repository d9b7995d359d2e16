import {
  type CrossEntropyGradientOptions,
  crossEntropyGradientShader,
} from '../../../shaders/cross-entropy-gradient.wgsl.js'
import type { GpuDevice } from '../../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../../gpu/dispatch.js'

/** Host side of shaders/cross-entropy-gradient.wgsl.ts. */
export async function crossEntropyGradientKernel(gpu: GpuDevice, options: CrossEntropyGradientOptions) {
  const kernel = await gpu.pipelines.compile('cross-entropy-gradient', crossEntropyGradientShader(options), [
    'read',
    'read',
    'read',
    'read',
    'read',
    'write',
  ])
  return (
    arena: ParamsArena,
    b: {
      plan: GPUBuffer
      settings: GPUBuffer
      targets: GPUBuffer
      sums: GPUBuffer
      head: GPUBuffer
      dState: GPUBuffer
    },
  ): Dispatch =>
    bind(arena, kernel, [b.plan, b.settings, b.targets, b.sums, b.head, b.dState], ({ rows }) => [
      Math.ceil(options.k4 / 64),
      rows,
      1,
    ])
}
