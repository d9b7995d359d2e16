import type { Dispatch, ParamsArena } from '../gpu/dispatch.js'
import { nllKernel } from '../kernels/nll.js'
import type { Engine } from './engine.js'
import { rowsLogits } from './rows-logits.js'

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
  const logits = await rowsLogits(engine, arena, plan, buffers.logits)
  const loss = await nllKernel(engine.gpu, { vocab: engine.shape.config.vocabSize })
  return [...logits, loss(arena, { plan, ...buffers })]
}
