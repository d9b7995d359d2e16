import { batchPositions, planSlot } from '../../../shaders/snippets/plan.js'
import type { BoundBuffer, Dispatch, ParamsArena } from '../../gpu/dispatch.js'
import { attentionDecodeKernel, headsPerGroup } from '../../kernels/attention-decode.js'
import { batchRowKernel } from '../../kernels/batch-row.js'
import { makesKeysValues } from '../../skip/static-skips.js'
import { decodeSplits } from '../decode-splits.js'
import { type Endings, endingKernels } from '../endings.js'
import type { Engine } from '../engine.js'
import { appendRows } from '../keys-values-rows.js'
import { obeyOf, perObey } from '../per-obey.js'
import type { ProgramInputs } from '../program.js'
import { type BatchBuffers, rowOf } from './batch-buffers.js'

/** What one sequence does for itself in a step that it shares with others. Its plan, its cache and its records stay its own. */
export interface Lane {
  /** Brings its token and its position into the batch. */
  readonly enter: Dispatch
  /** By layer: key and value into its cache, and attention to it; none where the policy leaves them out. */
  readonly layers: readonly { readonly append: readonly Dispatch[]; readonly attention: readonly Dispatch[] }[]
  /** Its logits in the batch. */
  readonly logits: BoundBuffer
  /** What follows the batch's logits: its decisions into its records, and its next token. */
  readonly ending: Pick<Endings, 'score' | 'sample' | 'finish'>
}

/** A sequence's lane in row `row` of a batch. */
export async function laneProgram(
  engine: Engine,
  arena: ParamsArena,
  inputs: ProgramInputs,
  batch: BatchBuffers,
  row: number,
): Promise<Lane> {
  const { target, weights, capacity } = engine
  const { gpu, shape, choice } = target
  const { heads, kvHeads, headDim } = shape.config
  const { headsTogether, unrolled } = choice.form.value.attention
  const [enter, append, attend, { pack, sample }] = await Promise.all([
    batchRowKernel(gpu, batchPositions(shape.sublayers, capacity)),
    appendRows(target),
    perObey(inputs, { sublayers: shape.sublayers, phase: 'decode' }, (obey) =>
      attentionDecodeKernel(gpu, {
        heads,
        kvHeads,
        headDim,
        splits: decodeSplits(target),
        obeys: obey === 'skip' ? 'margin' : 'nothing',
        headsPerGroup: headsPerGroup(heads, kvHeads, headsTogether),
        unrolled,
      }),
    ),
    endingKernels(target, inputs),
  ])

  const { buffers, cache } = inputs
  const { plan, ids, ring } = buffers
  const layers = weights.layers.map((w, layer) => {
    const kv = cache.kv[layer] as GPUBuffer
    const attention = attend(obeyOf(inputs, 2 * layer, 'decode'))
    const appended = () =>
      append(engine, arena, { plan, cache, source: rowOf(batch.keysValues, row) }, { layer, weights: w })
    return {
      append: makesKeysValues(inputs.policy, layer, 'decode') ? [appended()] : [],
      attention: attention
        ? [
            attention(
              arena,
              { plan, q: rowOf(batch.q, row), kv, splitSums: rowOf(batch.splitSums, row), z: batch.z },
              { slot: planSlot(2 * layer, capacity), z: 2 * layer * capacity + row },
            ),
          ]
        : [],
    }
  })
  const packing = pack ? [pack(arena, { plan, z: batch.z, ring }, { row })] : []
  const logits = rowOf(batch.logits, row)
  const sampled = (from: BoundBuffer) => sample(arena, { ...buffers, logits: from })
  return {
    enter: enter(arena, { own: plan, ownIds: ids, plan: batch.plan, ids: batch.ids }, { row }),
    layers,
    logits,
    ending: { score: packing, sample: sampled, finish: [...packing, sampled(logits)] },
  }
}
