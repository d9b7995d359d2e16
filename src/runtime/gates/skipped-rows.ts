import type { Positions } from '../../../shaders/snippets/plan.js'
import type { Dispatch, ParamsArena } from '../../gpu/dispatch.js'
import { fillSkippedKernel } from '../../kernels/fill-skipped.js'
import type { SkipPolicy } from '../../skip/policy.js'
import type { Cache } from '../sequence-buffers.js'
import type { Target } from '../target.js'

type Left = NonNullable<SkipPolicy['skipped']>

/** Compiles what the rows that skip an attention leave in its cache: all of a chunk, or `row` of a batch. */
export async function skippedRows({ gpu, shape, capacity }: Target, positions: Positions) {
  const { kvHeads, headDim } = shape.config
  const made = async (left: Left) => fillSkippedKernel(gpu, { kvHeads, headDim, with: left, positions })
  const [hole, below] = await Promise.all([made('hole'), made('below')])
  return (
    arena: ParamsArena,
    { plan, z, cache }: { readonly plan: GPUBuffer; readonly z: GPUBuffer; readonly cache: Cache },
    { left, layer, row }: { readonly left: Left; readonly layer: number; readonly row?: number },
  ): Dispatch => {
    const kv = cache.kv[layer] as GPUBuffer
    const at = { z: 2 * layer * capacity, row }
    return left === 'hole'
      ? hole(arena, { plan, z, kv }, at)
      : below(arena, { plan, z, kv, below: cache.kv[layer - 1] }, at)
  }
}
