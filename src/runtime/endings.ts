import type { Dispatch, ParamsArena } from '../gpu/dispatch.js'
import { headKernel } from '../kernels/head.js'
import { packBitsKernel } from '../kernels/pack-bits.js'
import { sampleKernel } from '../kernels/sample.js'
import type { Engine } from './engine.js'
import { normedInput } from './normed-input.js'
import type { ProgramInputs, Variant } from './program.js'
import { recordStride } from './sequence-buffers.js'
import type { Target } from './target.js'

/** What follows the layers. */
export interface Endings {
  /** Packs a chunk's decisions into the ring; nothing where the policy decides nothing. */
  readonly packing: readonly Dispatch[]
  /** The execute bits, and the logits of the last row. */
  readonly score: readonly Dispatch[]
  /** The next token from logits; it moves the plan on to the next step. */
  sample(logits: GPUBuffer): Dispatch
  /** The end of a step that samples from the model's logits. */
  readonly finish: readonly Dispatch[]
}

/** Compiles the kernels of `endings`. */
export async function endingKernels(target: Target, variant: Variant) {
  const { gpu, shape, capacity, dtypes, choice } = target
  const { config, sublayers, d4: k4 } = shape
  const { margins, policy } = variant
  const { hiddenSize: d, vocabSize: vocab, rmsNormEps: eps } = config
  const form = choice.form.value.matvec({ rows: vocab, k: d, dtype: dtypes.head, parts: 1 })
  const [pack, input, head, sample] = await Promise.all([
    policy.scoring && packBitsKernel(gpu, { sublayers, capacity, stride: recordStride(shape, margins), margins }),
    // All rows, as what makes keys and values: one kernel less to compile, and one more norm in a chunk.
    normedInput(target, form, 'all'),
    headKernel(gpu, { d, k4, vocab, eps, dtype: dtypes.head, form }),
    sampleKernel(gpu),
  ])
  return { pack, input, head, sample }
}

export async function endings(engine: Engine, arena: ParamsArena, inputs: ProgramInputs): Promise<Endings> {
  const { pack, input, head, sample } = await endingKernels(engine.target, inputs)
  const { weights, scratch } = engine
  const { buffers } = inputs
  const packing = pack ? [pack(arena, buffers, { row: 0 })] : []
  const { plan } = buffers
  const { logits } = scratch
  const { head: matrix, vectors, finalNorm: norm } = weights
  const { x, before } = input(engine, arena, plan, { slot: 0, norm })
  const score = [...packing, ...before, head(arena, { plan, x, weights: matrix, vectors, logits }, { norm })]
  const sampled = (from: GPUBuffer) => sample(arena, { ...buffers, logits: from })
  return { packing, score, sample: sampled, finish: [...score, sampled(logits)] }
}
