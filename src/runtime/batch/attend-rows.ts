import type { Positions } from '../../../shaders/snippets/plan.js'
import type { Dispatch, ParamsArena } from '../../gpu/dispatch.js'
import { mergeSplitsKernel } from '../../kernels/merge-splits.js'
import type { AttendRows, AttendRowsOptions } from '../attending.js'
import { rowsInParts } from '../attention-in-parts.js'
import type { Target } from '../target.js'
import type { BatchBuffers } from './batch-buffers.js'

/** In the form of the device, `members` rows at a time. What they attend to is in `attended` when `mergeRows` is through. */
export async function attendRows(target: Target, options: AttendRowsOptions, members: number): Promise<AttendRows> {
  const { decode } = target.choice.form.value.attention
  return decode === 'in turn'
    ? (await import('../attention-in-turn.js')).rowsInTurn(target, options)
    : rowsInParts(target, decode, options, members)
}

/** Brings together what rows have attended to in parts. */
export async function mergeRows(
  { gpu, shape, choice }: Target,
  { splitSums, attended: out }: BatchBuffers,
  positions: Positions,
): Promise<(arena: ParamsArena, plan: GPUBuffer) => Dispatch[]> {
  const { heads, headDim } = shape.config
  const { decode } = choice.form.value.attention
  if (decode === 'in turn') return () => []
  const splits = { most: shape.splits, ...decode }
  const merge = await mergeSplitsKernel(gpu, { heads, headDim, splits, positions, stride: splitSums.stride })
  return (arena, plan) => [merge(arena, { plan, splitSums: splitSums.buffer, out })]
}
