import { READ_ROWS } from './rows-logits.js'
import type { Sequence } from './sequence.js'
import { statesProgram } from './states-program.js'
import { withBuffers } from './with-buffers.js'

/** The state behind the final norm at every position of `ids`, [hidden_size] each, from an empty cache. @throws as `Sequence.readRows`. */
export function readStates(
  sequence: Sequence,
  ids: ArrayLike<number>,
  signal: AbortSignal | undefined,
): Promise<Float32Array[]> {
  const { engine } = sequence
  const { hiddenSize } = engine.shape.config
  const values = 4 * engine.shape.d4
  return withBuffers(engine.gpu, { states: READ_ROWS * values }, async ({ states: out }) => {
    const { parts } = await sequence.readRows(ids, ids.length, signal, async (arena, plan) => {
      return { ending: await statesProgram(engine, arena, plan, out), out, values }
    })
    return parts.flatMap((part) =>
      Array.from({ length: part.length / values }, (_, row) => part.subarray(row * values, row * values + hiddenSize)),
    )
  })
}
