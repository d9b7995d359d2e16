import type { Rows } from '../../shaders/snippets/plan.js'
import type { BoundBuffer, Dispatch, ParamsArena } from '../gpu/dispatch.js'
import { rmsNormKernel } from '../kernels/rms-norm.js'
import { ropeRowsKernel } from '../kernels/rope-rows.js'
import type { LayerWeights } from '../model/weights.js'
import type { SkipPolicy } from '../skip/policy.js'
import type { Engine } from './engine.js'
import { layerGemm, type RowsOf } from './layer-gemm.js'
import type { Cache } from './sequence-buffers.js'
import type { Target } from './target.js'

/** A layer, and its rows that get keys and values: all, or those of a slot of the plan. */
export interface LayerRows {
  readonly layer: number
  readonly weights: LayerWeights
  readonly rows: Rows
  readonly slot: number
  /** `scratch.u` has the normalised rows already. */
  readonly isNormed: boolean
}

/**
 * Compiles what makes the keys and values of a chunk's rows, all of them or those that attend, at their places, `stride` values from one row to the
 * next; all normalised rows stay in `scratch.u`.
 */
export async function keysValuesRows(
  target: Target,
  { skipped }: SkipPolicy,
  stride = target.shape.kvWidth,
  of: RowsOf = 'prompt',
) {
  const { gpu, shape } = target
  const { config, d4, kvWidth, queryWidth } = shape
  const product = (rows: Rows) => {
    const gather = rows === 'active'
    const epilogue = gather ? 'scatter' : 'store'
    const common = { k4: d4, n: kvWidth, outputStride: stride, bias: config.qkvBias, of }
    return layerGemm(target, 'qkv', { ...common, rows, gather, epilogue })
  }
  const [norm, all, active] = await Promise.all([
    rmsNormKernel(gpu, { d: config.hiddenSize, d4, eps: config.rmsNormEps, rows: 'all' }),
    product('all'),
    skipped && product('active'),
  ])
  return (
    { weights: { vectors }, scratch: { x, u } }: Engine,
    arena: ParamsArena,
    { plan, keysValues }: { readonly plan: GPUBuffer; readonly keysValues: GPUBuffer },
    { layer, weights: w, rows, slot, isNormed }: LayerRows,
  ): Dispatch[] => [
    ...(isNormed ? [] : [norm(arena, { plan, x, vectors, u }, { slot: 0, norm: w.inputNorm })]),
    ((rows === 'active' && active) || all)(layer)(
      arena,
      { plan, x: u, weights: w.qkv, vectors, y: keysValues },
      // Biases of Q come first; the offset counts vec4s, and head sizes are multiples of four.
      { slot, firstRow: queryWidth, bias: w.qkvBias + queryWidth / 4, z: 0 },
    ),
  ]
}

/** Compiles what appends such rows to the cache of one sequence, at the positions that its plan says. */
export async function appendRows({ gpu, shape }: Target) {
  const { heads, kvHeads, headDim, rmsNormEps: eps, qkNorm } = shape.config
  const append = await ropeRowsKernel(gpu, {
    heads,
    kvHeads,
    headDim,
    eps,
    qkNorm,
    rows: 'all',
    target: 'key-value',
    positions: 'consecutive',
  })
  // Weights of the norm of Q come first.
  const keyNorm = Math.ceil(headDim / 4)
  return (
    { weights: { vectors } }: Engine,
    arena: ParamsArena,
    { plan, cache, source }: { readonly plan: GPUBuffer; readonly cache: Cache; readonly source: BoundBuffer },
    { layer, weights: w }: { readonly layer: number; readonly weights: LayerWeights },
  ): Dispatch =>
    append(
      arena,
      { plan, rope: cache.rope, vectors, source, out: cache.kv[layer] as GPUBuffer },
      { slot: 0, norm: w.qkNorm + keyNorm },
    )
}
