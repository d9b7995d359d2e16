import { attentionSequencesShader } from '../../../shaders/attention-sequences.wgsl.js'
import type { SequenceAttentionOptions } from '../../../shaders/snippets/sequences.js'
import type { GpuDevice } from '../../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../../gpu/dispatch.js'
import { sequenceGrid } from './sequence-grid.js'

/** Host side of shaders/attention-sequences.wgsl.ts. */
export async function attentionSequencesKernel(gpu: GpuDevice, options: SequenceAttentionOptions) {
  const kernel = await gpu.pipelines.compile('attention-sequences', attentionSequencesShader(options), [
    'read',
    'read',
    'read',
    'write',
    'write',
    'uniform',
  ])
  return (
    arena: ParamsArena,
    b: { plan: GPUBuffer; q: GPUBuffer; kv: GPUBuffer; out: GPUBuffer; logSumExp: GPUBuffer },
    params: { length: number },
  ): Dispatch =>
    bind(arena, kernel, [b.plan, b.q, b.kv, b.out, b.logSumExp, [params.length]], sequenceGrid(options.heads))
}
