import type { BoundBuffer, Dispatch, ParamsArena } from '../gpu/dispatch.js'
import { rmsNormKernel } from '../kernels/rms-norm.js'
import { ropeRowsKernel } from '../kernels/rope-rows.js'
import type { LayerWeights } from '../model/weights.js'
import type { Engine } from './engine.js'
import { layerGemm, type RowsOf } from './layer-gemm.js'
import type { Cache } from './sequence-buffers.js'
import type { Target } from './target.js'

/** Compiles what makes the keys and values of all rows of a chunk, `stride` values from one row to the next; the normalised rows stay in `scratch.u`. */
export async function keysValuesRows(target: Target, stride = target.shape.kvWidth, of: RowsOf = 'prompt') {
  const { gpu, shape } = target
  const { config, d4, kvWidth, queryWidth } = shape
  const [norm, product] = await Promise.all([
    rmsNormKernel(gpu, { d: config.hiddenSize, d4, eps: config.rmsNormEps, rows: 'all' }),
    layerGemm(target, 'qkv', {
      k4: d4,
      n: kvWidth,
      outputStride: stride,
      bias: config.qkvBias,
      rows: 'all',
      gather: false,
      epilogue: 'store',
      of,
    }),
  ])
  return (
    { weights: { vectors }, scratch: { x, u } }: Engine,
    arena: ParamsArena,
    { plan, keysValues }: { readonly plan: GPUBuffer; readonly keysValues: GPUBuffer },
    { layer, weights: w }: { readonly layer: number; readonly weights: LayerWeights },
  ): Dispatch[] => [
    norm(arena, { plan, x, vectors, u }, { slot: 0, norm: w.inputNorm }),
    product(layer)(
      arena,
      { plan, x: u, weights: w.qkv, vectors, y: keysValues },
      // Biases of Q come first; the offset counts vec4s, and head sizes are multiples of four.
      { slot: 0, firstRow: queryWidth, bias: w.qkvBias + queryWidth / 4, z: 0 },
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
