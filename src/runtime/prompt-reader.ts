import { type Dispatch, ParamsArena } from '../gpu/dispatch.js'
import type { Engine } from './engine.js'
import { type TokenLogprobs, tokenLogprobs } from './logprobs.js'
import { rowsLogits } from './rows-logits.js'
import type { RowsReader } from './rows-reader.js'
import type { PrefillOptions, PrefillResult, Sequence } from './sequence.js'

/** Rows whose logits are read back together: of a large vocabulary they are some megabytes. */
const LOGIT_ROWS = 16

/** Feeds ids as `Sequence.prefill` does, and tells how probable each of them but the first was, and the `count` most probable ones. */
export async function readPrompt(
  sequence: Sequence,
  ids: ArrayLike<number>,
  count: number,
  options: PrefillOptions,
): Promise<PrefillResult & { logprobs: readonly TokenLogprobs[] }> {
  const reader = new PromptReader(sequence.engine, ids, count)
  try {
    return { ...(await sequence.prefill(ids, { ...options, reader })), logprobs: reader.logprobs }
  } finally {
    reader.destroy()
  }
}

/** Reads the logits of a prompt's rows, and makes of each how probable the id behind it was, and the `count` most probable ones. */
class PromptReader implements RowsReader {
  readonly logprobs: TokenLogprobs[] = []
  /** Rows that are fed at a time. */
  readonly rows = LOGIT_ROWS
  readonly extra: { readonly buffer: GPUBuffer; readonly values: number }
  readonly #arena: ParamsArena
  #dispatches: Dispatch[] | undefined

  constructor(
    private readonly engine: Engine,
    private readonly ids: ArrayLike<number>,
    private readonly count: number,
  ) {
    const { gpu, shape } = engine
    const values = shape.config.vocabSize
    this.extra = { buffer: gpu.memory.storage('rows logits', 4 * LOGIT_ROWS * values), values }
    this.#arena = new ParamsArena(gpu)
  }

  async dispatches(plan: GPUBuffer): Promise<readonly Dispatch[]> {
    this.#dispatches ??= await rowsLogits(this.engine, this.#arena, plan, this.extra.buffer)
    return this.#dispatches
  }

  /** Takes the logits of the chunk that begins at `first`. Nothing comes behind the last row. */
  read(first: number, words: Uint32Array): void {
    const { values } = this.extra
    const logits = new Float32Array(words.buffer)
    const rows = Math.min(logits.length / values, this.ids.length - 1 - first)
    for (let row = 0; row < rows; row++) {
      const ofRow = logits.subarray(row * values, (row + 1) * values)
      this.logprobs.push(tokenLogprobs(ofRow, this.ids[first + row + 1] as number, this.count))
    }
  }

  destroy(): void {
    this.#arena.destroy()
    this.engine.gpu.memory.destroy(this.extra.buffer)
  }
}
