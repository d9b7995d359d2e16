import { attentionBackwardKeyValueShader } from '../../../shaders/attention-backward-key-value.wgsl.js'
import type { SequenceAttentionOptions } from '../../../shaders/snippets/sequences.js'
import type { GpuDevice } from '../../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../../gpu/dispatch.js'
import { sequenceGrid } from './sequence-grid.js'

/** Host side of shaders/attention-backward-key-value.wgsl.ts. */
export async function attentionBackwardKeyValueKernel(gpu: GpuDevice, options: SequenceAttentionOptions) {
  const kernel = await gpu.pipelines.compile('attention-backward-key-value', attentionBackwardKeyValueShader(options), [
    'read',
    'read',
    'read',
    'read',
    'read',
    'read',
    'write',
    'uniform',
  ])
  return (
    arena: ParamsArena,
    b: {
      plan: GPUBuffer
      q: GPUBuffer
      kv: GPUBuffer
      logSumExp: GPUBuffer
      dOut: GPUBuffer
      delta: GPUBuffer
      dkv: GPUBuffer
    },
    params: { length: number },
  ): Dispatch =>
    bind(
      arena,
      kernel,
      [b.plan, b.q, b.kv, b.logSumExp, b.dOut, b.delta, b.dkv, [params.length]],
      sequenceGrid(options.kvHeads),
    )
}
