import type { CrossEntropyOptions } from '../../../shaders/cross-entropy-slice.wgsl.js'
import { crossEntropyWeightsShader } from '../../../shaders/cross-entropy-weights.wgsl.js'
import type { GpuDevice } from '../../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../../gpu/dispatch.js'

/** Host side of shaders/cross-entropy-weights.wgsl.ts. */
export async function crossEntropyWeightsKernel(gpu: GpuDevice, options: CrossEntropyOptions) {
  const kernel = await gpu.pipelines.compile('cross-entropy-weights', crossEntropyWeightsShader(options), [
    'read',
    'read',
    'write',
    'uniform',
  ])
  return (
    arena: ParamsArena,
    b: { plan: GPUBuffer; sums: GPUBuffer; logits: GPUBuffer },
    params: { first: number; begin: number },
  ): Dispatch =>
    bind(arena, kernel, [b.plan, b.sums, b.logits, [params.first, params.begin]], ({ rows }) => [
      Math.ceil(options.width / 64),
      rows,
      1,
    ])
}
