import { type CrossEntropyOptions, crossEntropySliceShader } from '../../../shaders/cross-entropy-slice.wgsl.js'
import type { GpuDevice } from '../../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../../gpu/dispatch.js'

/** Host side of shaders/cross-entropy-slice.wgsl.ts. */
export async function crossEntropySliceKernel(gpu: GpuDevice, options: CrossEntropyOptions) {
  const kernel = await gpu.pipelines.compile('cross-entropy-slice', crossEntropySliceShader(options), [
    'read',
    'read',
    'read',
    'write',
    'uniform',
  ])
  return (
    arena: ParamsArena,
    b: { plan: GPUBuffer; logits: GPUBuffer; targets: GPUBuffer; sums: GPUBuffer },
    params: { first: number; begin: number },
  ): Dispatch =>
    bind(arena, kernel, [b.plan, b.logits, b.targets, b.sums, [params.first, params.begin]], ({ rows }) => [rows, 1, 1])
}
