import { ParamsArena } from '../gpu/dispatch.js'
import type { Engine } from './engine.js'
import type { StepRecord } from './records.js'
import { READ_ROWS } from './rows-logits.js'
import type { MakeReading, RowsReader } from './rows-reader.js'

/** What of a sequence this needs. */
interface Fed {
  readonly engine: Engine
  readonly plan: GPUBuffer
  rewind(length: number): void
  prefill(
    ids: ArrayLike<number>,
    options: { reader: RowsReader; signal?: AbortSignal },
  ): Promise<{ readonly records: StepRecord[] }>
}

/** See `Sequence.readRows`. */
export async function readRows(
  sequence: Fed,
  ids: ArrayLike<number>,
  signal: AbortSignal | undefined,
  make: MakeReading,
): Promise<{ parts: Float32Array[]; records: StepRecord[] }> {
  const parts: Float32Array[] = []
  const arena = new ParamsArena(sequence.engine.gpu)
  try {
    sequence.rewind(0)
    const { ending, out, values, before, observed } = await make(arena, sequence.plan)
    let first = 0
    const reader: RowsReader = {
      rows: READ_ROWS,
      extra: { buffer: out, values, observed },
      dispatches: async () => {
        before?.(first, Math.min(READ_ROWS, ids.length - first))
        first += READ_ROWS
        return ending
      },
      read: (_, words) => {
        parts.push(new Float32Array(words.buffer))
      },
    }
    const { records } = await sequence.prefill(ids, { reader, ...(signal && { signal }) })
    return { parts, records }
  } finally {
    arena.destroy()
  }
}
