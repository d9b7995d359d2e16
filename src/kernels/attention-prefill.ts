import {
  type AttentionPrefillOptions,
  attentionPrefillShader,
  queriesPerGroup,
} from '../../shaders/attention-prefill.wgsl.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'

/** Host side of shaders/attention-prefill.wgsl.ts. */
export async function attentionPrefillKernel(gpu: GpuDevice, options: AttentionPrefillOptions) {
  const kernel = await gpu.pipelines.compile('attention-prefill', attentionPrefillShader(options), [
    'read',
    'read',
    'read',
    'write',
    'uniform',
  ])
  return (
    arena: ParamsArena,
    b: { plan: GPUBuffer; q: GPUBuffer; kv: GPUBuffer; out: GPUBuffer },
    params: { slot: number },
  ): Dispatch =>
    bind(arena, kernel, [b.plan, b.q, b.kv, b.out, [params.slot]], ({ rows }) => [
      options.heads,
      Math.ceil(rows / queriesPerGroup(options.headDim)),
      1,
    ])
}
