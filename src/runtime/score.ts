import { nllKernel } from '../kernels/nll.js'
import type { StepRecord } from './records.js'
import { READ_ROWS, rowsLogits } from './rows-logits.js'
import type { Sequence } from './sequence.js'
import { withBuffers } from './with-buffers.js'

/**
 * −ln p(ids[i + 1] | ids[0 .. i]) for every i, from an empty cache: ids.length − 1 values, and the records of the fed positions.
 * @throws as `Sequence.readRows`.
 */
export function score(
  sequence: Sequence,
  ids: ArrayLike<number>,
  signal?: AbortSignal,
): Promise<{ nll: Float32Array; records: StepRecord[] }> {
  const { engine } = sequence
  const { gpu, shape } = engine
  const words = { logits: READ_ROWS * shape.config.vocabSize, targets: READ_ROWS, nll: READ_ROWS }
  return withBuffers(gpu, words, async (buffers) => {
    const { parts, records } = await sequence.readRows(ids, ids.length - 1, signal, async (arena, plan) => {
      const logits = await rowsLogits(engine, arena, plan, buffers.logits)
      const loss = await nllKernel(gpu, { vocab: shape.config.vocabSize })
      return {
        ending: [...logits, loss(arena, { plan, ...buffers })],
        out: buffers.nll,
        values: 1,
        before: (first, rows) => {
          const targets = Uint32Array.from({ length: rows }, (_, i) => ids[first + 1 + i] as number)
          gpu.device.queue.writeBuffer(buffers.targets, 0, targets)
        },
      }
    })
    return { nll: Float32Array.from(parts.flatMap((part) => [...part])), records }
  })
}
