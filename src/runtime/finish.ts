import type { Dispatch, ParamsArena } from '../gpu/dispatch.js'
import { headKernel } from '../kernels/head.js'
import { packBitsKernel } from '../kernels/pack-bits.js'
import { sampleKernel } from '../kernels/sample.js'
import type { Engine } from './engine.js'
import type { ProgramInputs } from './program.js'
import { recordStride } from './sequence-buffers.js'

/** Packs a chunk's decisions into the ring; nothing where the policy decides nothing. */
export async function packing(engine: Engine, arena: ParamsArena, inputs: ProgramInputs): Promise<Dispatch[]> {
  if (!inputs.policy.scoring) return []
  const pack = await packBitsKernel(engine.gpu, {
    sublayers: engine.shape.sublayers,
    capacity: inputs.capacity,
    stride: recordStride(engine.shape, inputs.margins),
    margins: inputs.margins,
  })
  return [pack(arena, inputs.buffers)]
}

/** The end of a step: execute bits, logits of the last row, and the next token. */
export async function finish(engine: Engine, arena: ParamsArena, inputs: ProgramInputs): Promise<Dispatch[]> {
  const { gpu, shape, weights, scratch, forms } = engine
  const { config } = shape
  const head = await headKernel(gpu, {
    d: config.hiddenSize,
    k4: shape.d4,
    vocab: config.vocabSize,
    eps: config.rmsNormEps,
    dtype: weights.headDtype,
    form: forms.matvec,
  })
  const sample = await sampleKernel(gpu)
  return [
    // Before sampling, which moves the plan on to the next step.
    ...(await packing(engine, arena, inputs)),
    head(
      arena,
      {
        plan: inputs.buffers.plan,
        x: scratch.x,
        weights: weights.head,
        vectors: weights.vectors,
        logits: scratch.logits,
      },
      { norm: weights.finalNorm },
    ),
    sample(arena, { ...inputs.buffers, logits: scratch.logits }),
  ]
}
