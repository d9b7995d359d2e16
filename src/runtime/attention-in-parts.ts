import type { Obey } from '../../shaders/snippets/obey.js'
import { attentionDecodeKernel } from '../kernels/attention-decode.js'
import { attentionOutputKernel } from '../kernels/attention-output.js'
import type { InParts } from '../kernels/forms.js'
import { matrixShapes } from '../model/layer-matrices.js'
import type { AttendRows, AttendRowsOptions, DecodeAttention } from './attending.js'
import { perDtype } from './per-dtype.js'
import type { Target } from './target.js'

/** Each head and part of the context has a group; the output product merges the parts. */
export async function attentionInParts(target: Target, form: InParts, obey: Obey): Promise<DecodeAttention> {
  const { gpu, shape, choice } = target
  const { heads, kvHeads, headDim, hiddenSize: d, outputBias: bias } = shape.config
  const splits = { most: shape.splits, ...form }
  const { output } = choice.form.value
  const o = matrixShapes(shape.config).o
  const [attend, product] = await Promise.all([
    attentionDecodeKernel(gpu, { heads, kvHeads, headDim, splits, obeys: obey === 'skip' ? 'plan' : 'nothing' }),
    perDtype(target, 'o', (dtype) =>
      attentionOutputKernel(gpu, {
        ...{ d, heads, headDim, splits, bias, dtype, obey },
        form: output({ ...o, dtype, parts: 1 }),
      }),
    ),
  ])
  return ({ weights, scratch }, arena, { plan, cache, layer, slot }) => {
    const { q, splitSums, x } = scratch
    const { o: matrix, oBias } = weights.layers[layer] as (typeof weights.layers)[number]
    const kv = cache.kv[layer] as GPUBuffer
    return [
      attend(arena, { plan, q, caches: [kv], splitSums }, { slot, z: 0 }),
      product(layer)(arena, { plan, splitSums, weights: matrix, vectors: weights.vectors, x }, { slot, bias: oBias }),
    ]
  }
}

/** The same for rows of a batch, `members` of them in a dispatch; their parts are still to be merged. */
export async function rowsInParts(
  { gpu, shape }: Target,
  form: InParts,
  { sumsStride, batch, ...options }: AttendRowsOptions,
  members: number,
): Promise<AttendRows> {
  const { heads, kvHeads, headDim } = shape.config
  const attend = await attentionDecodeKernel(gpu, {
    ...{ heads, kvHeads, headDim, splits: { most: shape.splits, ...form } },
    ...options,
    batch: { ...batch, caches: members, sumsStride },
  })
  return (arena, { plan, z, q, splitSums }, members, { layer, z: margins }) => {
    const caches = members.map(({ cache }) => cache.kv[layer] as GPUBuffer)
    const rows = members.map(({ row }) => row)
    return [attend(arena, { plan, q: q.buffer, caches, splitSums: splitSums.buffer, z }, { slot: 0, z: margins, rows })]
  }
}
