import { type AdjustLogitsOptions, adjustLogitsShader } from '../../shaders/adjust-logits.wgsl.js'
import type { GpuDevice } from '../gpu/device.js'
import { type BoundBuffer, bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'
import type { Binding } from '../gpu/pipelines.js'

/** Host side of shaders/adjust-logits.wgsl.ts; buffers of what a variant leaves out are not needed. */
export async function adjustLogitsKernel(gpu: GpuDevice, options: AdjustLogitsOptions) {
  const where = (wanted: boolean, binding: Binding): Binding => (wanted ? binding : 'none')
  const { bias, penalties, mask } = options
  const kernel = await gpu.pipelines.compile('adjust logits', adjustLogitsShader(options), [
    'read',
    'read',
    'write',
    'uniform',
    where(bias, 'read'),
    where(penalties, 'read'),
    where(penalties, 'write'),
    where(mask, 'read'),
  ])
  return (
    arena: ParamsArena,
    b: {
      plan: GPUBuffer
      logits: BoundBuffer
      out: GPUBuffer
      amounts: GPUBuffer
      bias?: GPUBuffer | undefined
      ids?: GPUBuffer | undefined
      counts?: GPUBuffer | undefined
      allowed?: GPUBuffer | undefined
    },
    vocab: number,
  ): Dispatch =>
    bind(arena, kernel, [b.plan, b.logits, b.out, b.amounts, b.bias, b.ids, b.counts, b.allowed], () => [
      Math.ceil(vocab / 256),
      1,
      1,
    ])
}
