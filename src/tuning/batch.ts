import { NO_TARGET } from '../../shaders/cross-entropy-slice.wgsl.js'
import { pcgHash } from '../kernels/reference/random.js'

/** Sequences of one length, one behind the other: their rows are those of the activations. */
export interface BatchShape {
  readonly batch: number
  /** Tokens of a sequence. */
  readonly length: number
}

/**
 * The token that follows each row within its sequence. The last row of a sequence has none, and so has a row with one of `ends`: what follows
 * an end was not drawn from what is before it.
 *
 * ids [batch · length] -> [batch · length]
 */
export function nextTokens(
  ids: ArrayLike<number>,
  length: number,
  ends: ReadonlySet<number> = new Set(),
): Uint32Array<ArrayBuffer> {
  return Uint32Array.from({ length: ids.length }, (_, row) =>
    row % length === length - 1 || ends.has(ids[row] as number) ? NO_TARGET : (ids[row + 1] as number),
  )
}

/** The windows of a batch, drawn with putting back: the same for a seed and a number of the batch. [batch · length] */
export function drawBatch(
  windows: readonly (readonly number[])[],
  batch: number,
  seed: number,
  counter: number,
): Uint32Array<ArrayBuffer> {
  const drawn = Array.from({ length: batch }, (_, i) => windows[pcgHash(seed, counter, i) % windows.length] as number[])
  return Uint32Array.from(drawn.flat())
}
