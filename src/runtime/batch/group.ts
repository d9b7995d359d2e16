import { batchPositions } from '../../../shaders/snippets/plan.js'
import type { Dispatch, ParamsArena } from '../../gpu/dispatch.js'
import { appendRowsKernel } from '../../kernels/append-rows.js'
import { attentionDecodeKernel, headsPerGroup } from '../../kernels/attention-decode.js'
import type { SkipPolicy } from '../../skip/policy.js'
import { leftBySkipping, makesKeysValues } from '../../skip/static-skips.js'
import { decodeSplits } from '../decode-splits.js'
import type { Engine } from '../engine.js'
import { obeyOf, perObey } from '../per-obey.js'
import type { Cache } from '../sequence-buffers.js'
import type { BatchBuffers } from './batch-buffers.js'

/** A row of the batch, and the cache of the sequence that has it. */
export interface GroupMember {
  readonly row: number
  readonly cache: Cache
}

/** By layer: keys and values into the caches of some sequences, and attention to them; none where the policy leaves them out. */
export type GroupLayers = readonly { readonly append: readonly Dispatch[]; readonly attention: readonly Dispatch[] }[]

/** What rows of a batch do with caches of their own: as many of them in a dispatch as can be bound. `rope` reaches as far as they do. */
export async function groupLayers(
  engine: Engine,
  arena: ParamsArena,
  policy: SkipPolicy,
  { plan, z, q, keysValues, splitSums }: BatchBuffers,
  rope: GPUBuffer,
  members: readonly GroupMember[],
): Promise<GroupLayers> {
  const { target, weights, capacity } = engine
  const { gpu, shape, choice } = target
  const { heads, kvHeads, headDim, rmsNormEps: eps, qkNorm } = shape.config
  const { headsTogether, unrolled } = choice.form.value.attention
  const positions = batchPositions(shape.sublayers, capacity)
  const { firstWord } = positions
  const { skipped } = policy
  const variant = { policy, margins: false, masked: false }
  const caches = members.length
  const rows = members.map(({ row }) => row)
  const [append, attend, fill] = await Promise.all([
    appendRowsKernel(gpu, { kvHeads, headDim, eps, qkNorm, caches, firstWord, stride: keysValues.stride }),
    perObey(variant, { sublayers: shape.sublayers, phase: 'decode' }, (obey) =>
      attentionDecodeKernel(gpu, {
        heads,
        kvHeads,
        headDim,
        splits: decodeSplits(target),
        obeys: obey === 'skip' ? 'margin' : 'nothing',
        headsPerGroup: headsPerGroup(heads, kvHeads, headsTogether),
        unrolled,
        holes: skipped === 'hole',
        batch: { caches, firstWord, queryStride: q.stride, sumsStride: splitSums.stride },
      }),
    ),
    skipped && (await import('../gates/skipped-rows.js')).skippedRows(target, skipped, positions),
  ])
  const { vectors } = weights
  // Norm weights of Q come first.
  const keyNorm = Math.ceil(headDim / 4)
  return weights.layers.map(({ qkNorm: norm }, layer) => {
    const kv = members.map(({ cache }) => cache.kv[layer] as GPUBuffer)
    const left = leftBySkipping(policy, layer, 'decode')
    const attention = attend(obeyOf(variant, 2 * layer, 'decode'))
    const bound = { plan, q: q.buffer, caches: kv, splitSums: splitSums.buffer, z }
    return {
      append: makesKeysValues(policy, layer, 'decode')
        ? [
            append(
              arena,
              { plan, rope, vectors, source: keysValues.buffer, caches: kv },
              { norm: norm + keyNorm, rows },
            ),
            ...members.flatMap(({ row, cache }) =>
              left && fill ? [fill(arena, { plan, z, cache }, { layer, row })] : [],
            ),
          ]
        : [],
      // Nothing else obeys a slot of the batch's plan here.
      attention: attention ? [attention(arena, bound, { slot: 0, z: 2 * layer * capacity, rows })] : [],
    }
  })
}
