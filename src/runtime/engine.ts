import type { GpuDevice } from '../gpu/device.js'
import { type Choice, chooseForm } from '../gpu/forms.js'
import { KERNEL_FORMS, type KernelForms } from '../kernels/forms.js'
import { formsGiveRightResults } from '../kernels/self-test.js'
import type { ModelConfig } from '../model/config.js'
import type { ModelWeights } from '../model/weights.js'
import { createScratch, type Scratch } from './scratch.js'
import { type RuntimeShape, runtimeShape } from './shape.js'

/** Rows that one prefill chunk has at most. */
export const CHUNK_ROWS = 512

/** A model on one device, ready to run sequences. */
export class Engine {
  /** Dispatches and submits recorded since the start. */
  readonly counters = { dispatches: 0, submits: 0 }

  private constructor(
    readonly gpu: GpuDevice,
    readonly shape: RuntimeShape,
    readonly weights: ModelWeights,
    readonly scratch: Scratch,
    /** Rows of a chunk: never more than the model's context. */
    readonly capacity: number,
    readonly choice: Choice<KernelForms>,
  ) {}

  get forms(): KernelForms {
    return this.choice.form.value
  }

  /** Chooses kernel forms by self-test and allocates the shared activations. */
  static async create(gpu: GpuDevice, config: ModelConfig, weights: ModelWeights): Promise<Engine> {
    const shape = runtimeShape(config)
    const choice = await chooseForm(gpu, 'matrix products', KERNEL_FORMS, (forms) => formsGiveRightResults(gpu, forms))
    const capacity = Math.min(CHUNK_ROWS, config.contextLength)
    return new Engine(gpu, shape, weights, createScratch(gpu, shape, capacity), capacity, choice)
  }

  destroy(): void {
    for (const buffer of Object.values(this.scratch)) this.gpu.memory.destroy(buffer as GPUBuffer)
    this.weights.destroy()
  }
}
