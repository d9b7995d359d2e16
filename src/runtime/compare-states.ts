import type { Dispatch } from '../gpu/dispatch.js'
import { compareStatesKernel } from '../kernels/compare-states.js'
import type { Program } from './program.js'
import type { StepRecord } from './records.js'
import { READ_ROWS } from './rows-logits.js'
import type { Sequence } from './sequence.js'
import { withBuffers } from './with-buffers.js'

/** Comparisons of a position: before and behind each of 2L sublayers, then each of L layers, and one without meaning. */
export function comparisons(layers: number): number {
  return 3 * layers + 1
}

/**
 * Compares the residual stream before and behind every sublayer and every layer: for each position of `ids`, from an empty cache, [comparisons]
 * of two values, the cosine and the ratio of norms; and their records. @throws as `Sequence.readRows`.
 */
export async function compareStates(
  sequence: Sequence,
  ids: ArrayLike<number>,
  signal: AbortSignal | undefined,
): Promise<{ parts: Float32Array[]; records: StepRecord[] }> {
  const { gpu, shape, scratch } = sequence.engine
  const { layers } = shape.config
  const count = comparisons(layers)
  const states = READ_ROWS * 4 * shape.d4
  const compare = await compareStatesKernel(gpu, { d4: shape.d4, count, accumulates: false })
  const words = { sublayer: states, layer: states, out: 2 * count * READ_ROWS }
  return withBuffers(gpu, words, ({ sublayer, layer, out }) =>
    sequence.readRows(ids, ids.length, signal, async (arena, plan) => {
      const since = (before: GPUBuffer, index: number): Dispatch =>
        compare(arena, { plan, x: scratch.x, before, out }, { index })
      const observed = (program: Program): Program => ({
        ...program,
        layers: program.layers.map((l, i) => ({
          ...l,
          // What lies in the buffers before the first layer is of another chunk.
          entry: i === 0 ? [since(sublayer, count - 1), since(layer, count - 1), ...l.entry] : l.entry,
          attention: [...l.attention, since(sublayer, 2 * i)],
          mlp: [...l.mlp, since(sublayer, 2 * i + 1), since(layer, 2 * layers + i)],
        })),
      })
      return { ending: [], out, values: 2 * count, observed }
    }),
  )
}
