import { type Dispatch, ParamsArena } from '../gpu/dispatch.js'
import { gemmKernel } from '../kernels/gemm.js'
import { rmsNormKernel } from '../kernels/rms-norm.js'
import type { Engine } from './engine.js'
import { type TokenLogprobs, tokenLogprobs } from './logprobs.js'

/** Rows whose logits are read back together: of a large vocabulary they are some megabytes. */
export const LOGIT_ROWS = 16

/** Binds the compiled kernels of `rowsLogits`. */
type Bind = (arena: ParamsArena, b: { readonly plan: GPUBuffer; readonly logits: GPUBuffer }) => Dispatch[]

/** Follows a prefill chunk, before anything moves the plan on: the logits of every row, in `logits` [rows, vocab]. */
export async function rowsLogits(engine: Engine): Promise<Bind> {
  const { gpu, shape, weights, scratch, target } = engine
  const { hiddenSize: d, rmsNormEps: eps, vocabSize: vocab } = shape.config
  const norm = await rmsNormKernel(gpu, { d, d4: shape.d4, eps, rows: 'all' })
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
  const { vectors } = weights
  return (arena, { plan, logits }) => [
    norm(arena, { plan, x: scratch.x, vectors, u: scratch.u }, { slot: 0, norm: weights.finalNorm }),
    head(
      arena,
      { plan, x: scratch.u, weights: weights.head, vectors, y: logits },
      { slot: 0, firstRow: 0, bias: 0, z: 0 },
    ),
  ]
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

  /** `check` throws where `plan` is gone: it is called after every wait. */
  async dispatches(plan: GPUBuffer, check: () => void): Promise<readonly Dispatch[]> {
    if (this.#dispatches) return this.#dispatches
    const bind = await rowsLogits(this.engine)
    check()
    this.#dispatches = bind(this.#arena, { plan, logits: this.extra.buffer })
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
