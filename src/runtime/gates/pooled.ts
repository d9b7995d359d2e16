import type { Dispatch, ParamsArena } from '../../gpu/dispatch.js'
import { carryMarginsKernel } from '../../kernels/carry-margins.js'
import type { Target } from '../target.js'

/** What brings the decisions of a sequence, made once for all of its tokens, into its row of a batch. */
export async function carriedMargins(
  { gpu, shape, capacity }: Target,
  arena: ParamsArena,
  buffers: { readonly own: GPUBuffer; readonly z: GPUBuffer },
  row: number,
): Promise<Dispatch> {
  const carry = await carryMarginsKernel(gpu, { sublayers: shape.sublayers, capacity })
  return carry(arena, buffers, { row })
}
