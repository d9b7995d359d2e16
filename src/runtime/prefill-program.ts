import type { GemmOptions } from '../../shaders/gemm.wgsl.js'
import type { Obey } from '../../shaders/snippets/obey.js'
import type { Dispatch, ParamsArena } from '../gpu/dispatch.js'
import { attentionPrefillKernel } from '../kernels/attention-prefill.js'
import { embedKernel } from '../kernels/embed.js'
import { gemmKernel } from '../kernels/gemm.js'
import { rmsNormKernel } from '../kernels/rms-norm.js'
import { ropeRowsKernel } from '../kernels/rope-rows.js'
import type { Engine } from './engine.js'
import { perObey } from './per-obey.js'
import type { ProgramInputs } from './program.js'
import { routing } from './routing.js'

/**
 * One chunk of prompt through embedding and layers. Keys and values are made for every row; queries, attention, output
 * projection and MLP for the active rows only, gathered into neighbouring rows and scattered back into the residual.
 */
export async function prefillProgram(engine: Engine, arena: ParamsArena, inputs: ProgramInputs): Promise<Dispatch[]> {
  const { gpu, shape, weights, scratch, forms } = engine
  const { config, d4, ff4, queryWidth, kvWidth } = shape
  const { buffers, cache, capacity } = inputs
  const { dtype } = weights
  const { heads, kvHeads, headDim, hiddenSize: d, rmsNormEps: eps, qkNorm } = config

  const gemm = (o: Pick<GemmOptions, 'k4' | 'n' | 'outputStride' | 'bias' | 'rows' | 'gather' | 'epilogue'>) =>
    gemmKernel(gpu, { ...o, dtype, form: forms.gemm })
  const kernels = async (obey: Obey) => {
    const rows = obey === 'skip' ? 'active' : 'all'
    const epilogue = obey === 'masked' ? 'add-masked' : 'add'
    return {
      norm: await rmsNormKernel(gpu, { d, d4, eps, rows }),
      query: await gemm({
        k4: d4,
        n: queryWidth,
        outputStride: queryWidth,
        bias: config.qkvBias,
        rows,
        gather: rows === 'active',
        epilogue: 'store',
      }),
      turn: await ropeRowsKernel(gpu, { heads, kvHeads, headDim, eps, qkNorm, rows, target: 'query' }),
      attention: await attentionPrefillKernel(gpu, { heads, kvHeads, headDim, rows }),
      output: await gemm({
        k4: queryWidth / 4,
        n: d,
        outputStride: 4 * d4,
        bias: config.outputBias,
        rows,
        gather: false,
        epilogue,
      }),
      gateUp: await gemm({
        k4: d4,
        n: config.intermediateSize,
        outputStride: 4 * ff4,
        bias: config.mlpBias,
        rows,
        gather: false,
        epilogue: 'silu-up',
      }),
      down: await gemm({
        k4: ff4,
        n: d,
        outputStride: 4 * d4,
        bias: config.mlpBias,
        rows,
        gather: false,
        epilogue,
      }),
    }
  }
  const of = await perObey(inputs, kernels)
  const route = await routing({ engine, arena, ...inputs, singleRow: false })
  const embed = await embedKernel(gpu, { width4: d4, stride4: d4, dtype: weights.headDtype })
  const normAll = await rmsNormKernel(gpu, { d, d4, eps, rows: 'all' })
  const keysValuesGemm = await gemm({
    k4: d4,
    n: kvWidth,
    outputStride: kvWidth,
    bias: config.qkvBias,
    rows: 'all',
    gather: false,
    epilogue: 'store',
  })
  const append = await ropeRowsKernel(gpu, {
    heads,
    kvHeads,
    headDim,
    eps,
    qkNorm,
    rows: 'all',
    target: 'key-value',
  })

  const { x, u, q, attended, keysValues, inner } = scratch
  const { vectors } = weights
  const { plan, ids, z } = buffers
  const { rope } = cache
  const keyNorm = Math.ceil(headDim / 4)
  const list: Dispatch[] = [embed(arena, { plan, ids, table: weights.embedding, x })]
  weights.layers.forEach((w, layer) => {
    const r = route(layer)
    const attention = of(r.attention)
    const mlp = of(r.mlp)
    const kv = cache.kv[layer] as GPUBuffer
    const slot = r.attentionSlot
    const zAttention = 2 * layer * capacity
    list.push(
      ...r.atEntry,
      normAll(arena, { plan, x, vectors, u }, { slot: 0, norm: w.inputNorm }),
      keysValuesGemm(
        arena,
        { plan, x: u, weights: w.qkv, vectors, y: keysValues },
        // Biases of Q come first; the offset counts vec4s, and head sizes are multiples of four.
        { slot: 0, firstRow: queryWidth, bias: w.qkvBias + queryWidth / 4, z: 0 },
      ),
      append(arena, { plan, rope, vectors, source: keysValues, out: kv }, { slot: 0, norm: w.qkNorm + keyNorm }),
      attention.query(
        arena,
        { plan, x: u, weights: w.qkv, vectors, y: q },
        { slot, firstRow: 0, bias: w.qkvBias, z: 0 },
      ),
      attention.turn(arena, { plan, rope, vectors, out: q }, { slot, norm: w.qkNorm }),
      attention.attention(arena, { plan, q, kv, out: attended }, { slot }),
      attention.output(
        arena,
        { plan, x: attended, weights: w.o, vectors, y: x, z },
        { slot, firstRow: 0, bias: w.oBias, z: zAttention },
      ),
      ...r.afterAttention,
      mlp.norm(arena, { plan, x, vectors, u }, { slot: r.mlpSlot, norm: w.postNorm }),
      mlp.gateUp(
        arena,
        { plan, x: u, weights: w.gateUp, vectors, y: inner },
        { slot: r.mlpSlot, firstRow: 0, bias: w.gateUpBias, z: 0 },
      ),
      mlp.down(
        arena,
        { plan, x: inner, weights: w.down, vectors, y: x, z },
        { slot: r.mlpSlot, firstRow: 0, bias: w.downBias, z: zAttention + capacity },
      ),
    )
  })
  return list
}
