import type { Positions } from '../../../shaders/snippets/plan.js'
import type { Dispatch, ParamsArena } from '../../gpu/dispatch.js'
import { fillSkippedKernel } from '../../kernels/fill-skipped.js'
import type { SkipPolicy } from '../../skip/policy.js'
import type { Cache } from '../sequence-buffers.js'
import type { Target } from '../target.js'

/** Compiles what the rows that skip an attention leave in its cache: all of a chunk, or `row` of a batch. */
export async function skippedRows(
  { gpu, shape, capacity }: Target,
  left: NonNullable<SkipPolicy['skipped']>,
  positions: Positions,
) {
  const { kvHeads, headDim } = shape.config
  const fill = await fillSkippedKernel(gpu, { kvHeads, headDim, with: left, positions })
  return (
    arena: ParamsArena,
    { plan, z, cache }: { readonly plan: GPUBuffer; readonly z: GPUBuffer; readonly cache: Cache },
    { layer, row }: { readonly layer: number; readonly row?: number },
  ): Dispatch => {
    const below = left === 'below' ? cache.kv[layer - 1] : undefined
    return fill(arena, { plan, z, kv: cache.kv[layer] as GPUBuffer, below }, { z: 2 * layer * capacity, row })
  }
}
