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
import { crossEntropyHead } from './head.js'
import { gumbelNoiseKernel } from './kernels/gumbel-noise.js'
import { rmsNormBackwardKernel } from './kernels/rms-norm-backward.js'
import { stepLossesKernel } from './kernels/step-losses.js'
import { layerProgram } from './layer.js'
import { layerKernels } from './layer-kernels.js'
import { loraProgram, type TrainedLora } from './lora.js'
import { defaultSlice, withinMemory } from './memory.js'
import { routerProgram, type TrainedRouters } from './routers.js'

export interface GradientStepOptions extends BatchShape {
  /** They train where their parameters have gradients (stage 1). Else their decisions are fixed, and no gradient goes through them. */
  readonly routers: TrainedRouters
  /** Low-rank updates, which train where their parameters have gradients (stage 2). */
  readonly lora?: TrainedLora
  /** Tokens of the vocabulary whose logits are held at a time, at most. Default: four times the hidden size. */
  readonly slice?: number
  /** Times every dispatch. */
  readonly timer?: GpuProfile
}

/** What a step is told when it runs. */
export interface StepInput {
  /** [batch · length] */
  readonly ids: Uint32Array<ArrayBuffer>
  /** Tokens behind which nothing is predicted. */
  readonly ends?: ReadonlySet<number>
  /**
   * Gumbel noise for the two logits of each router, [2 layers, batch · length, 2] with the sublayers in order; or what the GPU makes it from, a
   * seed and the number of the batch. Default: none, arg-max.
   */
  readonly noise?: Float32Array<ArrayBuffer> | { readonly seed: number; readonly counter: number }
  /** Temperature of the gates. Default 1. */
  readonly tau?: number
  /** Share of gates that shall execute, and what missing it by 1 costs. Default: no penalty. */
  readonly executeRate?: number
  readonly coefficient?: number
  /** Batches whose gradients are added before the optimiser steps. Default 1. */
  readonly accumulation?: number
  /** Sequences that count; those behind them fill the batch up. Default: all. */
  readonly counted?: number
}

export interface StepLosses {
  /** Mean over the targets, in nats. */
  readonly crossEntropy: number
  /** Share of gates that executed. */
  readonly executeRate: number
  /** crossEntropy + coefficient · |executeRate wanted − had| */
  readonly loss: number
}

/**
 * Forward and backward pass of training over a batch: adds the gradients to those of the parameters, and gives the losses. Inputs of layers are
 * kept; each layer is computed again for its gradients, so that memory grows as layers × tokens × hidden.
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

  /** @throws `bad-option` for ids or noise of another size, or where no row has a target; `device-lost`. */
  run(input: StepInput): Promise<StepLosses> {
    return this.#run(input, [...this.parts.layers, this.parts.losses.withGradients, ...this.parts.backward])
  }

  /** The forward pass alone: gradients stay as they are. @throws as `run`. */
  measure(input: StepInput): Promise<StepLosses> {
    return this.#run(input, [...this.parts.layers, this.parts.losses.alone])
  }

  destroy(): void {
    this.parts.destroy()
  }

  async #run(input: StepInput, segments: readonly (readonly Dispatch[])[]): Promise<StepLosses> {
    const { gpu } = this.target
    const { activations: a, sample } = this.parts
    const { timer } = this.options
    const { queue } = gpu.device
    this.#upload(input)
    const rows = this.#rows
    const made = input.noise && 'seed' in input.noise ? [sample] : []
    for (const [i, dispatches] of [made, ...segments].entries()) {
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

  #upload({ ids, ends, noise, tau = 1, executeRate = 1, coefficient = 0, accumulation = 1, counted }: StepInput): void {
    const { activations: a } = this.parts
    const { queue } = this.target.gpu.device
    const noiseSize = 2 * this.target.shape.sublayers * this.#rows
    const seeded = noise && 'seed' in noise
    const given = seeded || !noise ? noiseSize : noise.length
    if (ids.length !== this.#rows || given !== noiseSize) {
      throw new SkipstoneError(
        'bad-option',
        `A step takes ${this.#rows} ids, and ${noiseSize} values of noise, not ${ids.length} and ${given}.`,
      )
    }
    const targets = nextTokens(ids, this.options.length, ends)
    if (counted !== undefined) targets.fill(NO_TARGET, counted * this.options.length)
    const count = targets.filter((token) => token !== NO_TARGET).length
    if (count === 0)
      throw new SkipstoneError('bad-option', 'No token of this batch is followed by another: give longer texts.')
    const share = 1 / accumulation
    queue.writeBuffer(a.ids, 0, ids)
    queue.writeBuffer(a.targets, 0, targets)
    if (seeded) queue.writeBuffer(a.noiseSeed, 0, Uint32Array.of(noise.seed, noise.counter))
    else queue.writeBuffer(a.noise, 0, noise ?? new Float32Array(noiseSize))
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
  const { config, d4, sublayers } = shape
  const { hiddenSize: d, rmsNormEps: eps, vocabSize: vocab } = config
  const rows = options.batch * options.length
  const slice = options.slice ?? defaultSlice(shape)
  const [kernels, routers, lora, embed, norm, normBack, head, losses, gumbel] = await Promise.all([
    layerKernels(target, rows),
    routerProgram(gpu, options.routers, { d, d4, rows }).then(own),
    options.lora && loraProgram(gpu, options.lora, rows).then(own),
    embedKernel(gpu, { width4: d4, stride4: d4, dtype: dtypes.embedding }),
    rmsNormKernel(gpu, { d, d4, eps, rows: 'all' }),
    rmsNormBackwardKernel(gpu, { d, d4, eps }),
    crossEntropyHead(gpu, { d4, vocab, dtype: dtypes.head, forms: choice.form.value.gemms, slice }),
    stepLossesKernel(gpu, { sublayers, capacity: rows }),
    gumbelNoiseKernel(gpu, 2 * sublayers * rows),
  ])
  const activations = own(
    await withinMemory(target, options, slice, () => createActivations(gpu, shape, { ...options, slice })),
  )
  const arena = own(new ParamsArena(gpu))
  const inputs = {
    ...{ arena, shape, weights, kernels, activations, length: options.length, dGates: routers.dGates },
    routers: routers.program(arena, activations),
    mlpRouterReads: options.routers.input ?? 'entry',
    gatesTrain: routers.trains,
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
    activations,
    sample: gumbel(arena, { seed: activations.noiseSeed, noise: activations.noise }),
    layers: [
      [embed(arena, { plan, ids, table: weights.embedding, x })],
      ...layers.map((layer) => layer.forward),
      [norm(arena, { plan, x: last, vectors, u: a.u }, { slot: 0, norm: weights.finalNorm })],
    ],
    losses: {
      alone: [...crossEntropy.losses, losses(arena, activations)],
      withGradients: [...crossEntropy.both, losses(arena, activations)],
    },
    backward: [
      [normBack(arena, { plan, x: last, vectors, dy: a.du, dx }, { norm: weights.finalNorm })],
      ...layers.map((layer) => layer.backward).toReversed(),
    ],
  }
}
