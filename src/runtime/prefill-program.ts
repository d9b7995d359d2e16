import type { GemmChoice } from '../../shaders/gemm.wgsl.js'
import type { Obey } from '../../shaders/snippets/obey.js'
import type { ParamsArena } from '../gpu/dispatch.js'
import { attentionPrefillKernel } from '../kernels/attention-prefill.js'
import { embedKernel } from '../kernels/embed.js'
import { gemmKernel } from '../kernels/gemm.js'
import { rmsNormKernel } from '../kernels/rms-norm.js'
import { ropeRowsKernel } from '../kernels/rope-rows.js'
import type { MatrixName } from '../model/layer-matrices.js'
import type { Engine } from './engine.js'
import { perDtype } from './per-dtype.js'
import { perObey } from './per-obey.js'
import type { LayerProgram, Program, ProgramInputs, Variant } from './program.js'
import { routingKernels } from './routing.js'
import type { Target } from './target.js'

/** Compiles the kernels of `prefillProgram`. */
export async function prefillKernels(target: Target, variant: Variant) {
  const { gpu, shape, choice } = target
  const { config, d4, ff4, queryWidth, kvWidth } = shape
  const { heads, kvHeads, headDim, hiddenSize: d, rmsNormEps: eps, qkNorm } = config

  const gemm = (matrix: MatrixName, o: Omit<GemmChoice, 'dtype' | 'forms'>) =>
    perDtype(target, matrix, (dtype) =>
      gemmKernel(gpu, { ...o, dtype, forms: choice.form.value.gemms }, `gemm ${matrix}`),
    )
  const make = async (obey: Obey) => {
    const rows = obey === 'skip' ? 'active' : 'all'
    const epilogue = obey === 'masked' ? 'add-masked' : 'add'
    const [norm, query, turn, attention, output, gateUp, down] = await Promise.all([
      rmsNormKernel(gpu, { d, d4, eps, rows }),
      gemm('qkv', {
        k4: d4,
        n: queryWidth,
        outputStride: queryWidth,
        bias: config.qkvBias,
        rows,
        gather: rows === 'active',
        epilogue: 'store',
      }),
      ropeRowsKernel(gpu, { heads, kvHeads, headDim, eps, qkNorm, rows, target: 'query' }),
      attentionPrefillKernel(gpu, { heads, kvHeads, headDim, rows, unrolled: choice.form.value.attention.unrolled }),
      gemm('o', {
        k4: queryWidth / 4,
        n: d,
        outputStride: 4 * d4,
        bias: config.outputBias,
        rows,
        gather: false,
        epilogue,
      }),
      gemm('gateUp', {
        k4: d4,
        n: config.intermediateSize,
        outputStride: 4 * ff4,
        bias: config.mlpBias,
        rows,
        gather: false,
        epilogue: 'silu-up',
      }),
      gemm('down', {
        k4: ff4,
        n: d,
        outputStride: 4 * d4,
        bias: config.mlpBias,
        rows,
        gather: false,
        epilogue,
      }),
    ])
    return { norm, query, turn, attention, output, gateUp, down }
  }
  const [of, route, embed, normAll, keysValues, append] = await Promise.all([
    perObey(variant, shape.sublayers, make),
    routingKernels(target, variant, { singleRow: false }),
    embedKernel(gpu, { width4: d4, stride4: d4, dtype: target.dtypes.embedding }),
    rmsNormKernel(gpu, { d, d4, eps, rows: 'all' }),
    gemm('qkv', {
      k4: d4,
      n: kvWidth,
      outputStride: kvWidth,
      bias: config.qkvBias,
      rows: 'all',
      gather: false,
      epilogue: 'store',
    }),
    ropeRowsKernel(gpu, {
      heads,
      kvHeads,
      headDim,
      eps,
      qkNorm,
      rows: 'all',
      target: 'key-value',
    }),
  ])
  return { of, route, embed, normAll, keysValues, append }
}

/**
 * One chunk of prompt through embedding and layers. Keys and values are made for every row; queries, attention, output
 * projection and MLP for the active rows only, gathered into neighbouring rows and scattered back into the residual.
 */
export async function prefillProgram(engine: Engine, arena: ParamsArena, inputs: ProgramInputs): Promise<Program> {
  const kernels = await prefillKernels(engine.target, inputs)
  const { of, route, normAll, append } = kernels
  const { weights, scratch, capacity } = engine
  const { headDim } = engine.shape.config
  const { queryWidth } = engine.shape
  const { buffers, cache } = inputs

  const { x, u, q, attended, keysValues, inner } = scratch
  const { vectors } = weights
  const { plan, ids, z } = buffers
  const { rope } = cache
  const keyNorm = Math.ceil(headDim / 4)
  const layers = weights.layers.map((w, layer): LayerProgram => {
    const r = route(engine, arena, buffers, layer)
    const attention = of(r.attention)
    const mlp = of(r.mlp)
    const kv = cache.kv[layer] as GPUBuffer
    const slot = r.attentionSlot
    const zAttention = 2 * layer * capacity
    return {
      ...r.program,
      attention: [
        normAll(arena, { plan, x, vectors, u }, { slot: 0, norm: w.inputNorm }),
        kernels.keysValues(layer)(
          arena,
          { plan, x: u, weights: w.qkv, vectors, y: keysValues },
          // Biases of Q come first; the offset counts vec4s, and head sizes are multiples of four.
          { slot: 0, firstRow: queryWidth, bias: w.qkvBias + queryWidth / 4, z: 0 },
        ),
        append(arena, { plan, rope, vectors, source: keysValues, out: kv }, { slot: 0, norm: w.qkNorm + keyNorm }),
        attention.query(layer)(
          arena,
          { plan, x: u, weights: w.qkv, vectors, y: q },
          { slot, firstRow: 0, bias: w.qkvBias, z: 0 },
        ),
        attention.turn(arena, { plan, rope, vectors, out: q }, { slot, norm: w.qkNorm }),
        attention.attention(arena, { plan, q, kv, out: attended }, { slot }),
        attention.output(layer)(
          arena,
          { plan, x: attended, weights: w.o, vectors, y: x, z },
          { slot, firstRow: 0, bias: w.oBias, z: zAttention },
        ),
      ],
      mlp: [
        mlp.norm(arena, { plan, x, vectors, u }, { slot: r.mlpSlot, norm: w.postNorm }),
        mlp.gateUp(layer)(
          arena,
          { plan, x: u, weights: w.gateUp, vectors, y: inner },
          { slot: r.mlpSlot, firstRow: 0, bias: w.gateUpBias, z: 0 },
        ),
        mlp.down(layer)(
          arena,
          { plan, x: inner, weights: w.down, vectors, y: x, z },
          { slot: r.mlpSlot, firstRow: 0, bias: w.downBias, z: zAttention + capacity },
        ),
      ],
    }
  })
  return { embed: kernels.embed(arena, { plan, ids, table: weights.embedding, x }), layers }
}
