import { crossEntropyBackwardShader } from '../../../shaders/cross-entropy-backward.wgsl.js'
import type { CrossEntropyOptions } from '../../../shaders/cross-entropy-slice.wgsl.js'
import type { GpuDevice } from '../../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../../gpu/dispatch.js'

/** Host side of shaders/cross-entropy-backward.wgsl.ts. */
export async function crossEntropyBackwardKernel(gpu: GpuDevice, options: CrossEntropyOptions) {
  const kernel = await gpu.pipelines.compile('cross-entropy-backward', crossEntropyBackwardShader(options), [
    'read',
    'read',
    'read',
    'read',
    'write',
    'uniform',
  ])
  return (
    arena: ParamsArena,
    b: { plan: GPUBuffer; settings: GPUBuffer; targets: GPUBuffer; sums: GPUBuffer; logits: GPUBuffer },
    params: { first: number; begin: number },
  ): Dispatch =>
    bind(arena, kernel, [b.plan, b.settings, b.targets, b.sums, b.logits, [params.first, params.begin]], ({ rows }) => [
      Math.ceil(options.width / 64),
      rows,
      1,
    ])
}
