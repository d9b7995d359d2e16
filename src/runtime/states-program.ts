import type { Dispatch, ParamsArena } from '../gpu/dispatch.js'
import { rmsNormKernel } from '../kernels/rms-norm.js'
import type { Engine } from './engine.js'

/** Follows a prefill chunk: the state of every row behind the final norm, in `states` [rows, d4 × 4]. */
export async function statesProgram(
  engine: Engine,
  arena: ParamsArena,
  plan: GPUBuffer,
  states: GPUBuffer,
): Promise<Dispatch[]> {
  const { gpu, shape, weights, scratch } = engine
  const { hiddenSize: d, rmsNormEps: eps } = shape.config
  const norm = await rmsNormKernel(gpu, { d, d4: shape.d4, eps, rows: 'all' })
  return [
    norm(arena, { plan, x: scratch.x, vectors: weights.vectors, u: states }, { slot: 0, norm: weights.finalNorm }),
  ]
}
