import { type Dispatch, ParamsArena } from '../gpu/dispatch.js'
import { gemmKernel } from '../kernels/gemm.js'
import type { Engine } from './engine.js'
import { type TokenLogprobs, tokenLogprobs } from './logprobs.js'
import { statesProgram } from './states-program.js'

/** Rows whose logits are read back together: of a large vocabulary they are some megabytes. */
export const LOGIT_ROWS = 16

/** Follows a prefill chunk, before anything moves the plan on: the logits of every row, in `logits` [rows, vocab]. */
export async function rowsLogits(
  engine: Engine,
  arena: ParamsArena,
  plan: GPUBuffer,
  logits: GPUBuffer,
): Promise<Dispatch[]> {
  const { gpu, shape, weights, scratch, target } = engine
  const states = await statesProgram(engine, arena, plan, scratch.u)
  const head = await gemmKernel(gpu, {
    k4: shape.d4,
    n: shape.config.vocabSize,
    outputStride: shape.config.vocabSize,
    dtype: weights.dtypes.head,
    bias: false,
    rows: 'all',
    gather: false,
    epilogue: 'store',
    form: target.choice.form.value.gemm,
  })
  const bound = { plan, x: scratch.u, weights: weights.head, vectors: weights.vectors, y: logits }
  return [...states, head(arena, bound, { slot: 0, firstRow: 0, bias: 0, z: 0 })]
}

/** Reads the logits of a prompt's rows, and makes of each how probable the id behind it was, and the `count` most probable ones. */
export class PromptReader {
  readonly logprobs: TokenLogprobs[] = []
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
