import { type AttentionOutputOptions, attentionOutputShader } from '../../shaders/attention-output.wgsl.js'
import { rowsPerGroup } from '../../shaders/snippets/matvec.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'

/** Host side of shaders/attention-output.wgsl.ts. */
export async function attentionOutputKernel(gpu: GpuDevice, options: AttentionOutputOptions) {
  const kernel = await gpu.pipelines.compile('attention-output', attentionOutputShader(options), [
    'read',
    'read',
    'read',
    'read',
    'write',
    'uniform',
  ])
  return (
    arena: ParamsArena,
    b: { plan: GPUBuffer; splitSums: GPUBuffer; weights: GPUBuffer; vectors: GPUBuffer; x: GPUBuffer },
    params: { slot: number; bias: number },
  ): Dispatch =>
    bind(arena, kernel, [b.plan, b.splitSums, b.weights, b.vectors, b.x, [params.slot, params.bias]], () => [
      Math.ceil(options.d / rowsPerGroup(options.form)),
      1,
      1,
    ])
}
