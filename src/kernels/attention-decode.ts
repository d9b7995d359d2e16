import { type AttentionDecodeOptions, attentionDecodeShader } from '../../shaders/attention-decode.wgsl.js'
import { SPLIT_TILE } from '../../shaders/snippets/splits.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'

/** Host side of shaders/attention-decode.wgsl.ts. */
export async function attentionDecodeKernel(gpu: GpuDevice, options: AttentionDecodeOptions) {
  const kernel = await gpu.pipelines.compile('attention-decode', attentionDecodeShader(options), [
    'read',
    'read',
    'read',
    'write',
    'uniform',
  ])
  return (
    arena: ParamsArena,
    b: { plan: GPUBuffer; q: GPUBuffer; kv: GPUBuffer; splitSums: GPUBuffer },
    params: { slot: number },
  ): Dispatch =>
    bind(arena, kernel, [b.plan, b.q, b.kv, b.splitSums, [params.slot]], ({ context }) => [
      options.heads,
      Math.min(options.splits, Math.ceil(context / SPLIT_TILE)),
      1,
    ])
}
