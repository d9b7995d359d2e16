import { attentionBackwardQueryShader } from '../../../shaders/attention-backward-query.wgsl.js'
import type { SequenceAttentionOptions } from '../../../shaders/snippets/sequences.js'
import type { GpuDevice } from '../../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../../gpu/dispatch.js'
import { sequenceGrid } from './sequence-grid.js'

/** Host side of shaders/attention-backward-query.wgsl.ts. */
export async function attentionBackwardQueryKernel(gpu: GpuDevice, options: SequenceAttentionOptions) {
  const kernel = await gpu.pipelines.compile('attention-backward-query', attentionBackwardQueryShader(options), [
    'read',
    'read',
    'read',
    'read',
    'read',
    'read',
    'write',
    'write',
    'uniform',
  ])
  return (
    arena: ParamsArena,
    b: {
      plan: GPUBuffer
      q: GPUBuffer
      kv: GPUBuffer
      out: GPUBuffer
      logSumExp: GPUBuffer
      dOut: GPUBuffer
      dq: GPUBuffer
      delta: GPUBuffer
    },
    params: { length: number },
  ): Dispatch =>
    bind(
      arena,
      kernel,
      [b.plan, b.q, b.kv, b.out, b.logSumExp, b.dOut, b.dq, b.delta, [params.length]],
      sequenceGrid(options.heads),
    )
}
