import type { MatvecForm } from '../../shaders/snippets/matvec.js'
import type { Rows } from '../../shaders/snippets/plan.js'
import type { Dispatch, ParamsArena } from '../gpu/dispatch.js'
import { lanesOfRow } from '../kernels/group-lanes.js'
import { rmsNormKernel } from '../kernels/rms-norm.js'
import type { Engine } from './engine.js'
import type { Target } from './target.js'

/** What a product with a normalised vector binds as its input, and what goes before. */
export interface NormedInput {
  readonly x: GPUBuffer
  readonly before: readonly Dispatch[]
}

/** The residual stream where a product of this form applies the norm, else what the norm makes of it, for all rows or those of a slot. */
export async function normedInput({ gpu, shape }: Target, { normed }: MatvecForm, rows: Rows) {
  const { hiddenSize: d, rmsNormEps: eps } = shape.config
  const kernel =
    normed && (await rmsNormKernel(gpu, { d, d4: shape.d4, eps, rows }, lanesOfRow(gpu, { isAlone: true })))
  return (
    { scratch: { x, u }, weights: { vectors } }: Engine,
    arena: ParamsArena,
    plan: GPUBuffer,
    at: { readonly slot: number; readonly norm: number },
  ): NormedInput => (kernel ? { x: u, before: [kernel(arena, { plan, x, vectors, u }, at)] } : { x, before: [] })
}
