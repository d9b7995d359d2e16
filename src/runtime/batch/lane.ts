import { batchPositions } from '../../../shaders/snippets/plan.js'
import type { BoundBuffer, Dispatch, ParamsArena } from '../../gpu/dispatch.js'
import { batchRowKernel } from '../../kernels/batch-row.js'
import { decidesOnce } from '../../skip/static-skips.js'
import { type Endings, endingKernels } from '../endings.js'
import type { Engine } from '../engine.js'
import type { ProgramInputs } from '../program.js'
import { type BatchBuffers, rowOf } from './batch-buffers.js'

/** What one sequence does for itself in a step that it shares with others. Its plan, its cache and its records stay its own. */
export interface Lane {
  /** Brings its token and its position into the batch, and what it has decided for all of its tokens. */
  readonly enter: readonly Dispatch[]
  /** Its logits in the batch. */
  readonly logits: BoundBuffer
  /** What follows the batch's logits: its decisions into its records, and its next token. */
  readonly ending: Pick<Endings, 'score' | 'sample' | 'finish'>
}

/** A sequence's lane in row `row` of a batch. */
export async function laneProgram(
  { target, capacity }: Engine,
  arena: ParamsArena,
  inputs: ProgramInputs,
  batch: BatchBuffers,
  row: number,
): Promise<Lane> {
  const [enter, { pack, sample }] = await Promise.all([
    batchRowKernel(target.gpu, batchPositions(target.shape.sublayers, capacity)),
    endingKernels(target, inputs),
  ])
  const { buffers, policy } = inputs
  const { plan, ids, ring } = buffers
  const carried = decidesOnce(policy)
    ? await (await import('../gates/pooled.js')).carriedMargins(target, arena, { own: buffers.z, z: batch.z }, row)
    : undefined
  const packing = pack ? [pack(arena, { plan, z: batch.z, ring }, { row })] : []
  const logits = rowOf(batch.logits, row)
  const sampled = (from: BoundBuffer) => sample(arena, { ...buffers, logits: from })
  return {
    enter: [
      enter(arena, { own: plan, ownIds: ids, plan: batch.plan, ids: batch.ids }, { row }),
      ...(carried ? [carried] : []),
    ],
    logits,
    ending: { score: packing, sample: sampled, finish: [...packing, sampled(logits)] },
  }
}
