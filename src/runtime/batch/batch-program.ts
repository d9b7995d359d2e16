import type { Obey } from '../../../shaders/snippets/obey.js'
import { batchPositions } from '../../../shaders/snippets/plan.js'
import type { Dispatch, ParamsArena } from '../../gpu/dispatch.js'
import { embedKernel } from '../../kernels/embed.js'
import { ropeRowsKernel } from '../../kernels/rope-rows.js'
import type { SkipPolicy } from '../../skip/policy.js'
import type { Engine } from '../engine.js'
import { joining } from '../joining.js'
import { keysValuesRows } from '../keys-values-rows.js'
import { layerGemm } from '../layer-gemm.js'
import { mlpRows } from '../mlp-rows.js'
import { perObey } from '../per-obey.js'
import { routingKernels } from '../routing.js'
import { rowsLogits } from '../rows-logits.js'
import { skippedSublayer } from '../skipped-sublayer.js'
import { mergeRows } from './attend-rows.js'
import type { BatchBuffers } from './batch-buffers.js'

/** A layer's dispatches for all rows, cut where each sequence attends to its own cache. */
export interface BatchLayer {
  readonly before: readonly Dispatch[]
  readonly after: readonly Dispatch[]
}

/** One decode step of several sequences, but for what each of them does for itself (lane.ts). */
export interface BatchProgram {
  readonly embed: Dispatch
  readonly layers: readonly BatchLayer[]
  /** The logits of every row. */
  readonly logits: readonly Dispatch[]
}

/**
 * A row for each sequence. Products read their weights once for all rows, gathered as in prefill; positions are the rows' own. `rope` reaches as
 * far as the longest of the sequences.
 */
export async function batchProgram(
  engine: Engine,
  arena: ParamsArena,
  policy: SkipPolicy,
  buffers: BatchBuffers,
  rope: GPUBuffer,
): Promise<BatchProgram> {
  const { target, weights, scratch, capacity } = engine
  const { gpu, shape } = target
  const { config, d4, queryWidth, sublayers } = shape
  const { heads, kvHeads, headDim, hiddenSize: d, rmsNormEps: eps, qkNorm } = config
  const positions = batchPositions(sublayers, capacity)
  const variant = { policy, margins: false, masked: false }
  const { q, keysValues, attended } = buffers
  const make = async (obey: Obey) => {
    const rows = obey === 'skip' ? 'active' : 'all'
    const join = await joining(target, policy, obey, 'attention')
    const [query, output, mlp] = await Promise.all([
      layerGemm(target, 'qkv', {
        k4: d4,
        n: queryWidth,
        outputStride: q.stride,
        bias: config.qkvBias,
        rows,
        gather: rows === 'active',
        epilogue: rows === 'active' ? 'scatter' : 'store',
        of: 'batch',
      }),
      layerGemm(target, 'o', {
        k4: queryWidth / 4,
        n: d,
        outputStride: 4 * d4,
        bias: config.outputBias,
        rows,
        gather: rows === 'active',
        epilogue: join.epilogue,
        of: 'batch',
      }),
      mlpRows(target, policy, obey, 'batch'),
    ])
    return { query, output, join, mlp }
  }
  const [of, skipped, route, embed, project, turn, merge, logits] = await Promise.all([
    perObey(variant, { sublayers, phase: 'decode' }, make),
    skippedSublayer(target, policy),
    routingKernels(target, variant, { phase: 'decode', singleRow: false, positions, normalises: true }),
    embedKernel(gpu, { width4: d4, stride4: d4, dtype: target.dtypes.embedding }),
    keysValuesRows(target, policy, keysValues.stride, 'batch'),
    // Rows without queries are turned too: nobody reads them.
    ropeRowsKernel(gpu, {
      heads,
      kvHeads,
      headDim,
      eps,
      qkNorm,
      rows: 'all',
      target: 'query',
      positions,
      stride: q.stride,
    }),
    mergeRows(target, buffers, positions),
    rowsLogits(engine, arena, buffers.plan, buffers.logits.buffer, buffers.logits.stride, 'batch'),
  ])

  const { x, u } = scratch
  const { vectors } = weights
  const { plan, ids, z } = buffers
  const layers = weights.layers.map((w, layer): BatchLayer => {
    const r = route(engine, arena, buffers, layer)
    const attention = of(r.attention)
    const mlp = of(r.mlp)
    const at = { layer, weights: w }
    return {
      before: [
        ...r.program.entry,
        ...(r.keysValues
          ? project(
              engine,
              arena,
              { plan, keysValues: keysValues.buffer },
              { ...at, rows: r.keysValues.rows, slot: r.attentionSlot, isNormed: r.normed.attention },
            )
          : []),
        ...(attention
          ? [
              attention.query(layer)(
                arena,
                { plan, x: u, weights: w.qkv, vectors, y: q.buffer },
                { slot: r.attentionSlot, firstRow: 0, bias: w.qkvBias, z: 0 },
              ),
              turn(arena, { plan, rope, vectors, out: q.buffer }, { slot: 0, norm: w.qkNorm }),
            ]
          : []),
      ],
      after: [
        ...(attention
          ? [
              ...merge(arena, plan),
              attention.output(layer)(
                arena,
                { plan, x: attended, weights: w.o, vectors, y: attention.join.into(engine) },
                { slot: r.attentionSlot, firstRow: 0, bias: w.oBias, z: 0 },
              ),
              ...attention.join.after(engine, arena, { plan, z }, { layer, slot: r.attentionSlot }),
            ]
          : skipped(engine, arena, plan, 2 * layer)),
        ...r.program.afterAttention,
        ...(mlp
          ? mlp.mlp(engine, arena, { plan, z }, { ...at, mlpSlot: r.mlpSlot })
          : skipped(engine, arena, plan, 2 * layer + 1)),
      ],
    }
  })
  return { embed: embed(arena, { plan, ids, table: weights.embedding, x }), layers, logits }
}
