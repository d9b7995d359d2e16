import type { Dispatch, ParamsArena } from '../gpu/dispatch.js'
import { headKernel } from '../kernels/head.js'
import { packBitsKernel } from '../kernels/pack-bits.js'
import { sampleKernel } from '../kernels/sample.js'
import type { Engine } from './engine.js'
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
export async function endingKernels({ gpu, shape, capacity, dtypes, choice }: Target, variant: Variant) {
  const { config, sublayers, d4: k4 } = shape
  const { margins, policy } = variant
  const { hiddenSize: d, vocabSize: vocab, rmsNormEps: eps } = config
  const [pack, head, sample] = await Promise.all([
    policy.scoring && packBitsKernel(gpu, { sublayers, capacity, stride: recordStride(shape, margins), margins }),
    headKernel(gpu, {
      d,
      k4,
      vocab,
      eps,
      dtype: dtypes.head,
      form: choice.form.value.matvec({ rows: vocab, k: d, dtype: dtypes.head, parts: 1 }),
    }),
    sampleKernel(gpu),
  ])
  return { pack, head, sample }
}

export async function endings(engine: Engine, arena: ParamsArena, inputs: ProgramInputs): Promise<Endings> {
  const { pack, head, sample } = await endingKernels(engine.target, inputs)
  const { weights, scratch } = engine
  const { buffers } = inputs
  const packing = pack ? [pack(arena, buffers, { row: 0 })] : []
  const { x, logits } = scratch
  const score = [
    ...packing,
    head(
      arena,
      { plan: buffers.plan, x, weights: weights.head, vectors: weights.vectors, logits },
      { norm: weights.finalNorm },
    ),
  ]
  const sampled = (from: GPUBuffer) => sample(arena, { ...buffers, logits: from })
  return { packing, score, sample: sampled, finish: [...score, sampled(logits)] }
}
