import type { Obey } from '../../shaders/snippets/obey.js'
import { attentionInTurnKernels } from '../kernels/attention-in-turn.js'
import { downDecodeKernel } from '../kernels/down-decode.js'
import { matrixShapes } from '../model/layer-matrices.js'
import type { AttendRows, AttendRowsOptions, DecodeAttention } from './attending.js'
import { perDtype } from './per-dtype.js'
import type { Target } from './target.js'

/** Scores of the whole context, then its values; the output product is then one like any other. */
export async function attentionInTurn(target: Target, obey: Obey): Promise<DecodeAttention> {
  const { gpu, shape, choice } = target
  const { heads, kvHeads, headDim, hiddenSize: d, outputBias: bias } = shape.config
  const { output } = choice.form.value
  const o = matrixShapes(shape.config).o
  const [attend, product] = await Promise.all([
    attentionInTurnKernels(gpu, { heads, kvHeads, headDim, obeys: obey === 'skip' ? 'plan' : 'nothing' }),
    perDtype(target, 'o', (dtype) =>
      downDecodeKernel(
        gpu,
        { d, k4: shape.queryWidth / 4, bias, dtype, obey, form: output({ ...o, dtype, parts: 1 }) },
        'attention-output',
      ),
    ),
  ])
  return ({ weights, scratch }, arena, { plan, cache, layer, slot }) => {
    const { q, attended: out, x } = scratch
    const { o: matrix, oBias } = weights.layers[layer] as (typeof weights.layers)[number]
    const [kv, scores] = [cache.kv[layer] as GPUBuffer, cache.scores as GPUBuffer]
    return [
      ...attend(arena, { plan, q, kv, scores, out }, { slot, z: 0, row: 0 }),
      product(layer)(arena, { plan, a: out, weights: matrix, vectors: weights.vectors, x }, { slot, bias: oBias }),
    ]
  }
}

/** The same for rows of a batch, one after the other. */
export async function rowsInTurn(
  { gpu, shape }: Target,
  { obeys, holes, batch }: AttendRowsOptions,
): Promise<AttendRows> {
  const { heads, kvHeads, headDim } = shape.config
  const attend = await attentionInTurnKernels(gpu, { heads, kvHeads, headDim, obeys, holes, batch })
  return (arena, { plan, z, q, attended: out }, members, { layer, z: margins }) =>
    members.flatMap(({ row, cache }) => {
      const bound = { plan, z, q: q.buffer, kv: cache.kv[layer] as GPUBuffer, scores: cache.scores as GPUBuffer, out }
      return attend(arena, bound, { slot: 0, z: margins, row })
    })
}
