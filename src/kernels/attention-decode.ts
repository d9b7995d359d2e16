import { type AttentionDecodeOptions, attentionDecodeShader } from '../../shaders/attention-decode.wgsl.js'
import { partsOf } from '../../shaders/snippets/splits.js'
import type { GpuDevice } from '../gpu/device.js'
import { type BoundBuffer, bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'

/** The most heads, up to `limit`, that a group can handle: they must share keys and values, and be equally many in all groups. */
export function headsPerGroup(heads: number, kvHeads: number, limit: number): number {
  const shared = heads / kvHeads
  let most = Math.min(limit, shared)
  while (shared % most !== 0) most--
  return most
}

/** Host side of shaders/attention-decode.wgsl.ts. */
export async function attentionDecodeKernel(gpu: GpuDevice, options: AttentionDecodeOptions) {
  const kernel = await gpu.pipelines.compile('attention-decode', attentionDecodeShader(options), [
    'read',
    'read',
    'read',
    'write',
    'uniform',
    options.obeys === 'margin' ? 'read' : 'none',
  ])
  return (
    arena: ParamsArena,
    b: { plan: GPUBuffer; q: BoundBuffer; kv: GPUBuffer; splitSums: BoundBuffer; z?: GPUBuffer },
    params: { slot: number; z: number },
  ): Dispatch =>
    bind(arena, kernel, [b.plan, b.q, b.kv, b.splitSums, [params.slot, params.z], b.z], ({ context }) => [
      options.heads / options.headsPerGroup,
      partsOf(options.splits, context),
      1,
    ])
}
