import type { Obey } from '../../shaders/snippets/obey.js'
import type { ParamsArena } from '../gpu/dispatch.js'
import { attentionPrefillKernel } from '../kernels/attention-prefill.js'
import { embedKernel } from '../kernels/embed.js'
import { ropeRowsKernel } from '../kernels/rope-rows.js'
import type { Phase } from '../skip/policy.js'
import type { Engine } from './engine.js'
import { joining } from './joining.js'
import { appendRows, keysValuesRows } from './keys-values-rows.js'
import { layerGemm } from './layer-gemm.js'
import { mlpRows } from './mlp-rows.js'
import { perObey } from './per-obey.js'
import type { LayerProgram, Program, ProgramInputs, Variant } from './program.js'
import { routingKernels } from './routing.js'
import { skippedSublayer } from './skipped-sublayer.js'
import type { Target } from './target.js'

/** Compiles the kernels of `prefillProgram`. */
export async function prefillKernels(target: Target, variant: Variant, phase: Phase = 'prefill') {
  const { gpu, shape, choice } = target
  const { config, d4, queryWidth } = shape
  const { heads, kvHeads, headDim, hiddenSize: d, rmsNormEps: eps, qkNorm } = config
  const positions = 'consecutive'
  const { skipped: left } = variant.policy
  const holes = left === 'hole'
  const { unrolled, passedBy } = choice.form.value.attention

  const make = async (obey: Obey) => {
    const rows = obey === 'skip' ? 'active' : 'all'
    const join = await joining(target, variant.policy, obey, 'attention')
    const [query, turn, attention, output, mlp] = await Promise.all([
      layerGemm(target, 'qkv', {
        k4: d4,
        n: queryWidth,
        outputStride: queryWidth,
        bias: config.qkvBias,
        rows,
        gather: rows === 'active',
        epilogue: 'store',
      }),
      ropeRowsKernel(gpu, { heads, kvHeads, headDim, eps, qkNorm, rows, target: 'query', positions }),
      attentionPrefillKernel(gpu, { heads, kvHeads, headDim, rows, unrolled, passedBy, holes }),
      layerGemm(target, 'o', {
        k4: queryWidth / 4,
        n: d,
        outputStride: 4 * d4,
        bias: config.outputBias,
        rows,
        gather: false,
        epilogue: join.epilogue,
      }),
      mlpRows(target, variant.policy, obey),
    ])
    return { query, turn, attention, output, join, mlp }
  }
  const [of, skipped, route, embed, project, append, fill] = await Promise.all([
    perObey(variant, { sublayers: shape.sublayers, phase }, make),
    skippedSublayer(target, variant.policy),
    routingKernels(target, variant, { phase, singleRow: false, positions, normalises: true }),
    embedKernel(gpu, { width4: d4, stride4: d4, dtype: target.dtypes.embedding }),
    keysValuesRows(target, variant.policy),
    appendRows(target),
    left && (await import('./gates/skipped-rows.js')).skippedRows(target, left, positions),
  ])
  return { of, skipped, route, embed, project, append, fill }
}

/**
 * One chunk of prompt through embedding and layers. Keys and values are made for every row; queries, attention, output
 * projection and MLP for the active rows only, gathered into neighbouring rows and scattered back into the residual. Of sublayers that every
 * token skips there is nothing, but for keys and values that the other phase attends to. A decode step is a chunk of one row.
 */
export async function prefillProgram(
  engine: Engine,
  arena: ParamsArena,
  inputs: ProgramInputs,
  phase: Phase = 'prefill',
): Promise<Program> {
  const kernels = await prefillKernels(engine.target, inputs, phase)
  const { of, skipped, route, project, append, fill } = kernels
  const { weights, scratch, capacity } = engine
  const { buffers, cache } = inputs

  const { x, u, q, keysValues } = scratch
  const { vectors } = weights
  const { plan, ids, z } = buffers
  const { rope } = cache
  const layers = weights.layers.map((w, layer): LayerProgram => {
    const r = route(engine, arena, buffers, layer)
    const attention = of(r.attention)
    const mlp = of(r.mlp)
    const kv = cache.kv[layer] as GPUBuffer
    const slot = r.attentionSlot
    const at = { layer, weights: w }
    const projected = ({ rows, left }: NonNullable<typeof r.keysValues>) => [
      ...project(engine, arena, { plan, keysValues }, { ...at, rows, slot, isNormed: r.normed.attention }),
      append(engine, arena, { plan, cache, source: keysValues }, at),
      ...(left && fill ? [fill(arena, { plan, z, cache }, { layer })] : []),
    ]
    const attended = (run: NonNullable<typeof attention>) => [
      run.query(layer)(
        arena,
        { plan, x: u, weights: w.qkv, vectors, y: q },
        { slot, firstRow: 0, bias: w.qkvBias, z: 0 },
      ),
      run.turn(arena, { plan, rope, vectors, out: q }, { slot, norm: w.qkNorm }),
      run.attention(arena, { plan, q, kv, out: scratch.attended }, { slot }),
      run.output(layer)(
        arena,
        { plan, x: scratch.attended, weights: w.o, vectors, y: run.join.into(engine), z },
        { slot, firstRow: 0, bias: w.oBias, z: 2 * layer * capacity },
      ),
      ...run.join.after(engine, arena, buffers, { layer, slot }),
    ]
    return {
      ...r.program,
      attention: [
        ...(r.keysValues ? projected(r.keysValues) : []),
        ...(attention ? attended(attention) : skipped(engine, arena, plan, 2 * layer)),
      ],
      mlp: mlp
        ? mlp.mlp(engine, arena, buffers, { ...at, mlpSlot: r.mlpSlot })
        : skipped(engine, arena, plan, 2 * layer + 1),
    }
  })
  return { embed: kernels.embed(arena, { plan, ids, table: weights.embedding, x }), layers }
}
