import { type QkvDecodeOptions, qkvDecodeShader, qkvGroups } from '../../shaders/qkv-decode.wgsl.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'

/** Host side of shaders/qkv-decode.wgsl.ts. */
export async function qkvDecodeKernel(gpu: GpuDevice, options: QkvDecodeOptions) {
  const kernel = await gpu.pipelines.compile('qkv-decode', qkvDecodeShader(options), [
    'read',
    'read',
    'read',
    'read',
    'read',
    'write',
    options.queries === 'never' ? 'none' : 'write',
    'uniform',
  ])
  return (
    arena: ParamsArena,
    b: {
      plan: GPUBuffer
      x: GPUBuffer
      weights: GPUBuffer
      vectors: GPUBuffer
      rope: GPUBuffer
      kv: GPUBuffer
      q: GPUBuffer
    },
    params: { slot: number; norm: number; bias: number; qkNorm: number },
  ): Dispatch =>
    bind(
      arena,
      kernel,
      [b.plan, b.x, b.weights, b.vectors, b.rope, b.kv, b.q, [params.slot, params.norm, params.bias, params.qkNorm]],
      () => [qkvGroups(options), 1, 1],
    )
}
