import type { Dispatch, ParamsArena } from '../gpu/dispatch.js'
import { gemmKernel } from '../kernels/gemm.js'
import type { Engine } from './engine.js'
import { formsOf, type RowsOf } from './layer-gemm.js'
import { statesProgram } from './states-program.js'

/** Rows of which something is read together: their logits, or states, are held at once. */
export const READ_ROWS = 64

/** Follows a prefill chunk, before anything moves the plan on: the logits of every row, in `logits` [rows, stride]. */
export async function rowsLogits(
  engine: Engine,
  arena: ParamsArena,
  plan: GPUBuffer,
  logits: GPUBuffer,
  stride = engine.shape.config.vocabSize,
  of: RowsOf = 'prompt',
): Promise<Dispatch[]> {
  const { gpu, shape, weights, scratch, target } = engine
  const states = await statesProgram(engine, arena, plan, scratch.u)
  const head = await gemmKernel(gpu, {
    k4: shape.d4,
    n: shape.config.vocabSize,
    outputStride: stride,
    dtype: weights.dtypes.head,
    bias: false,
    rows: 'all',
    gather: false,
    epilogue: 'store',
    forms: formsOf(target, of),
  })
  const bound = { plan, x: scratch.u, weights: weights.head, vectors: weights.vectors, y: logits }
  return [...states, head(arena, bound, { slot: 0, firstRow: 0, bias: 0, z: 0 })]
}
