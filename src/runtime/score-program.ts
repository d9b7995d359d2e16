import type { Dispatch, ParamsArena } from '../gpu/dispatch.js'
import { gemmKernel } from '../kernels/gemm.js'
import { nllKernel } from '../kernels/nll.js'
import type { Engine } from './engine.js'
import { statesProgram } from './states-program.js'

/** Rows that are scored together: their logits are held at once. */
export const SCORE_ROWS = 64

export interface ScoreBuffers {
  /** [SCORE_ROWS, vocab] */
  readonly logits: GPUBuffer
  readonly targets: GPUBuffer
  readonly nll: GPUBuffer
}

/** Follows a prefill chunk of at most SCORE_ROWS rows: logits of every row and the loss of its target. */
export async function scoreProgram(
  engine: Engine,
  arena: ParamsArena,
  plan: GPUBuffer,
  buffers: ScoreBuffers,
): Promise<Dispatch[]> {
  const { gpu, shape, weights, scratch, target } = engine
  const { vocabSize: vocab } = shape.config
  const states = await statesProgram(engine, arena, plan, scratch.u)
  const head = await gemmKernel(gpu, {
    k4: shape.d4,
    n: vocab,
    outputStride: vocab,
    dtype: weights.dtypes.head,
    bias: false,
    rows: 'all',
    gather: false,
    epilogue: 'store',
    form: target.choice.form.value.gemm,
  })
  const loss = await nllKernel(gpu, { vocab })
  const { vectors } = weights
  return [
    ...states,
    head(
      arena,
      { plan, x: scratch.u, weights: weights.head, vectors, y: buffers.logits },
      { slot: 0, firstRow: 0, bias: 0, z: 0 },
    ),
    loss(arena, { plan, ...buffers }),
  ]
}
