import { batchPositions } from '../../../shaders/snippets/plan.js'
import type { Dispatch, ParamsArena } from '../../gpu/dispatch.js'
import { appendRowsKernel } from '../../kernels/append-rows.js'
import type { SkipPolicy } from '../../skip/policy.js'
import { leftBySkipping, makesKeysValues } from '../../skip/static-skips.js'
import type { GroupMember } from '../attending.js'
import type { Engine } from '../engine.js'
import { obeyOf, perObey } from '../per-obey.js'
import { attendRows } from './attend-rows.js'
import type { BatchBuffers } from './batch-buffers.js'

/** By layer: keys and values into the caches of some sequences, and attention to them; none where the policy leaves them out. */
export type GroupLayers = readonly { readonly append: readonly Dispatch[]; readonly attention: readonly Dispatch[] }[]

/** What rows of a batch do with caches of their own: as many of them in a dispatch as can be bound. `rope` reaches as far as they do. */
export async function groupLayers(
  engine: Engine,
  arena: ParamsArena,
  policy: SkipPolicy,
  buffers: BatchBuffers,
  rope: GPUBuffer,
  members: readonly GroupMember[],
): Promise<GroupLayers> {
  const { target, weights, capacity } = engine
  const { gpu, shape } = target
  const { kvHeads, headDim, rmsNormEps: eps, qkNorm } = shape.config
  const { plan, z, q, keysValues } = buffers
  const positions = batchPositions(shape.sublayers, capacity)
  const { firstWord } = positions
  const { skipped } = policy
  const variant = { policy, margins: false, masked: false }
  const caches = members.length
  const rows = members.map(({ row }) => row)
  const [append, attend, fill] = await Promise.all([
    appendRowsKernel(gpu, { kvHeads, headDim, eps, qkNorm, caches, firstWord, stride: keysValues.stride }),
    perObey(variant, { sublayers: shape.sublayers, phase: 'decode' }, (obey) =>
      attendRows(
        target,
        {
          obeys: obey === 'skip' ? 'margin' : 'nothing',
          holes: skipped === 'hole',
          batch: { firstWord, queryStride: q.stride },
          sumsStride: buffers.splitSums.stride,
        },
        caches,
      ),
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
      attention: attention?.(arena, buffers, members, { layer, z: 2 * layer * capacity }) ?? [],
    }
  })
}
