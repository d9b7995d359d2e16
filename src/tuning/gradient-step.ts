import { NO_TARGET } from '../../shaders/cross-entropy-slice.wgsl.js'
import { SkipstoneError } from '../errors.js'
import { type Dispatch, ParamsArena, record } from '../gpu/dispatch.js'
import type { GpuProfile } from '../gpu/profile.js'
import { readBuffer } from '../gpu/readback.js'
import { embedKernel } from '../kernels/embed.js'
import { rmsNormKernel } from '../kernels/rms-norm.js'
import type { ModelWeights } from '../model/weights.js'
import type { Target } from '../runtime/target.js'
import { createActivations } from './activations.js'
import { type BatchShape, nextTokens } from './batch.js'
import type { Gating } from './gating.js'
import { crossEntropyHead } from './head.js'
import { rmsNormBackwardKernel } from './kernels/rms-norm-backward.js'
import { layerProgram } from './layer.js'
import { layerKernels } from './layer-kernels.js'
import { loraProgram, type TrainedLora } from './lora.js'
import { defaultSlice, withinMemory } from './memory.js'
import { type ResidualSizes, residualSizes } from './residual-sizes.js'
import type { StepInput } from './step-input.js'

export interface GradientStepOptions extends BatchShape {
  /** They train where their parameters have gradients. Else their decisions are fixed, and no gradient goes through them. */
  readonly gating: Gating
  /** Low-rank updates, which train where their parameters have gradients. */
  readonly lora?: TrainedLora
  /** Tokens of the vocabulary whose logits are held at a time, at most. Default: four times the hidden size. */
  readonly slice?: number
  /** Times every dispatch. */
  readonly timer?: GpuProfile
}

export interface StepLosses {
  /** Mean over the targets, in nats. */
  readonly crossEntropy: number
  /** Share of gates that executed. */
  readonly executeRate: number
  /** The cross-entropy, and what the gates add to it. */
  readonly loss: number
}

/**
 * Forward and backward pass of training over a batch: adds the gradients to those of the parameters, and gives the losses. Inputs of sublayers
 * and what attentions give are kept; the rest of a layer is computed again for its gradients, so that memory grows as layers × tokens × hidden.
 */
export class GradientStep {
  private constructor(
    private readonly target: Target,
    private readonly options: GradientStepOptions,
    private readonly parts: Parts,
  ) {}

  /**
   * @throws `unsupported` for weights that stream, and for biases that the kernels cannot lay out; `out-of-memory`, `bad-option` for a batch
   * without targets.
   */
  static async create(target: Target, weights: ModelWeights, options: GradientStepOptions): Promise<GradientStep> {
    check(target, weights, options)
    return new GradientStep(target, options, await build(target, weights, options))
  }

  /** Gates of the last step [2 layers, batch · length], the sublayers in order. */
  async gates(): Promise<Float32Array> {
    const { gates } = this.parts.activations
    const { sublayers } = this.target.shape
    return new Float32Array((await readBuffer(this.target.gpu, gates, 4 * sublayers * this.#rows)).buffer)
  }

  /** @throws `bad-option` for ids of another number, for what the gates refuse, or where no row has a target; `device-lost`. */
  run(input: StepInput): Promise<StepLosses> {
    return this.#run(input, [...this.parts.layers, this.parts.losses.withGradients, ...this.parts.backward])
  }

  /** The forward pass alone: gradients stay as they are. @throws as `run`. */
  measure(input: StepInput): Promise<StepLosses> {
    return this.#run(input, [...this.parts.layers, this.parts.losses.alone])
  }

  /** Of the last step. */
  residualSizes(): Promise<ResidualSizes[]> {
    return residualSizes(this.target, this.parts.activations, this.options.length)
  }

  destroy(): void {
    this.parts.destroy()
  }

  async #run(input: StepInput, segments: readonly (readonly Dispatch[])[]): Promise<StepLosses> {
    const { gpu } = this.target
    const { activations: a, gating } = this.parts
    const { timer } = this.options
    const { queue } = gpu.device
    this.#upload(input)
    const rows = this.#rows
    for (const [i, dispatches] of [gating.prepare(input), ...segments].entries()) {
      const encoder = gpu.device.createCommandEncoder()
      // The last norm adds to it.
      if (i === 0) encoder.clearBuffer(a.dx)
      // A pass of its own for each dispatch that is timed.
      for (const part of timer ? dispatches.map((one) => [one]) : [dispatches]) {
        const timestampWrites = timer?.next((part[0] as Dispatch).label)
        const pass = encoder.beginComputePass(timestampWrites && { timestampWrites })
        record(pass, part, { rows, context: this.options.length })
        pass.end()
      }
      queue.submit([encoder.finish()])
    }
    const [crossEntropy, executeRate, loss] = new Float32Array((await readBuffer(gpu, a.losses, 16)).buffer)
    gpu.check()
    return { crossEntropy: crossEntropy as number, executeRate: executeRate as number, loss: loss as number }
  }

  get #rows(): number {
    return this.options.batch * this.options.length
  }

  #upload({ ids, ends, tau = 1, executeRate = 1, coefficient = 0, accumulation = 1, counted }: StepInput): void {
    const { activations: a } = this.parts
    const { queue } = this.target.gpu.device
    if (ids.length !== this.#rows) {
      throw new SkipstoneError('bad-option', `A step takes ${this.#rows} ids, not ${ids.length}.`)
    }
    const targets = nextTokens(ids, this.options.length, ends)
    if (counted !== undefined) targets.fill(NO_TARGET, counted * this.options.length)
    const count = targets.filter((token) => token !== NO_TARGET).length
    if (count === 0)
      throw new SkipstoneError('bad-option', 'No token of this batch is followed by another: give longer texts.')
    const share = 1 / accumulation
    queue.writeBuffer(a.ids, 0, ids)
    queue.writeBuffer(a.targets, 0, targets)
    queue.writeBuffer(a.settings, 0, Float32Array.of(share / count, tau, executeRate, coefficient, share))
  }
}

type Parts = Awaited<ReturnType<typeof build>>

function check({ shape }: Target, weights: ModelWeights, { batch, length }: GradientStepOptions): void {
  const { config } = shape
  if (weights.stream) {
    throw new SkipstoneError('unsupported', 'Tuning needs all weights on the GPU: load the model without a gpuBudget.')
  }
  if (config.mlpBias && config.intermediateSize % 4 !== 0) {
    throw new SkipstoneError('unsupported', 'Tuning takes biases in the MLP only where its width is a multiple of 4.')
  }
  if (batch < 1 || length < 2 || length > config.contextLength) {
    throw new SkipstoneError(
      'bad-option',
      `A batch has at least one sequence of 2 to ${config.contextLength} tokens, not ${batch} of ${length}.`,
    )
  }
}

interface Owned {
  destroy(): void
}

/** Nothing stays allocated after a failure. */
async function build(target: Target, weights: ModelWeights, options: GradientStepOptions) {
  const owned: Owned[] = []
  const destroy = () => {
    for (const part of owned) part.destroy()
  }
  const own = <T extends Owned>(part: T): T => {
    owned.push(part)
    return part
  }
  try {
    return { ...(await assemble(target, weights, options, own)), destroy }
  } catch (error) {
    destroy()
    throw error
  }
}

async function assemble(
  target: Target,
  weights: ModelWeights,
  options: GradientStepOptions,
  own: <T extends Owned>(part: T) => T,
) {
  const { gpu, shape, dtypes, choice } = target
  const { config, d4 } = shape
  const { hiddenSize: d, rmsNormEps: eps, vocabSize: vocab } = config
  const rows = options.batch * options.length
  const slice = options.slice ?? defaultSlice(shape)
  const [kernels, gates, lora, embed, norm, normBack, head] = await Promise.all([
    layerKernels(target),
    options.gating(target, rows),
    options.lora && loraProgram(gpu, options.lora, rows).then(own),
    embedKernel(gpu, { width4: d4, stride4: d4, dtype: dtypes.embedding }),
    rmsNormKernel(gpu, { d, d4, eps, rows: 'all' }),
    rmsNormBackwardKernel(gpu, { d, d4, eps }),
    crossEntropyHead(gpu, { d4, vocab, dtype: dtypes.head, forms: choice.form.value.gemms, slice }),
  ])
  const activations = own(
    await withinMemory(target, options, slice, () => createActivations(gpu, shape, { ...options, slice })),
  )
  const arena = own(new ParamsArena(gpu))
  const gating = own(await withinMemory(target, options, slice, () => gates.bind(arena, activations)))
  const inputs = {
    ...{ arena, shape, weights, kernels, activations, length: options.length, gating },
    lora: lora?.program(arena, activations.plan),
  }
  const layers = Array.from({ length: config.layers }, (_, layer) => layerProgram(inputs, layer))
  const { plan, ids, dx, layer: a } = activations
  const { vectors } = weights
  const x = activations.inputs[0] as GPUBuffer
  const last = activations.inputs[config.layers] as GPUBuffer
  const crossEntropy = head(arena, {
    ...activations,
    ...{ vectors, head: weights.head, state: a.u, dState: a.du },
  })
  return {
    ...{ activations, gating },
    layers: [
      [embed(arena, { plan, ids, table: weights.embedding, x })],
      ...layers.map((layer) => layer.forward),
      [norm(arena, { plan, x: last, vectors, u: a.u }, { slot: 0, norm: weights.finalNorm })],
    ],
    losses: {
      alone: [...crossEntropy.losses, gating.losses],
      withGradients: [...crossEntropy.both, gating.losses],
    },
    backward: [
      [normBack(arena, { plan, x: last, vectors, dy: a.du, dx }, { norm: weights.finalNorm })],
      ...layers.map((layer) => layer.backward).toReversed(),
    ],
  }
}
