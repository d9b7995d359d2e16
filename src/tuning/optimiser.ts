import { SkipstoneError } from '../errors.js'
import type { GpuDevice } from '../gpu/device.js'
import { ParamsArena, record } from '../gpu/dispatch.js'
import { readBuffer } from '../gpu/readback.js'
import { adamWKernel, adamWSettings, SQUARES } from './kernels/adamw.js'
import type { Parameters } from './parameters.js'
import type { AdamWOptions } from './reference/adamw.js'

/** As SkipGPT's training has them, apart from the learning rate. */
const DEFAULTS = { weightDecay: 0.01, beta1: 0.9, beta2: 0.999, eps: 1e-8, maxNorm: 1 }

/** What AdamW keeps between steps, in the order of the parameters. */
export interface Moments {
  readonly first: Float32Array<ArrayBuffer>
  readonly second: Float32Array<ArrayBuffer>
}

/** AdamW over all parameters at once, with clipping; the moments stay on the GPU. */
export class Optimiser {
  #steps = 0

  private constructor(
    private readonly gpu: GpuDevice,
    private readonly buffers: Readonly<Record<'first' | 'second' | 'squares' | 'settings', GPUBuffer>> & {
      readonly rates?: GPUBuffer
    },
    private readonly arena: ParamsArena,
    private readonly dispatches: ReturnType<Awaited<ReturnType<typeof adamWKernel>>>,
    private readonly count: number,
  ) {}

  /**
   * @param own what the learning rate of each parameter is multiplied by.
   * @throws `bad-option` for parameters that are frozen; `out-of-memory`.
   */
  static async create(
    gpu: GpuDevice,
    { values, gradients, count }: Parameters,
    own?: Float32Array<ArrayBuffer>,
  ): Promise<Optimiser> {
    if (!gradients) throw new SkipstoneError('bad-option', 'These parameters are frozen: make them with gradients.')
    const kernel = await adamWKernel(gpu, count, own ? 'own' : 'one')
    const arena = new ParamsArena(gpu)
    const buffers = {
      first: gpu.memory.storage('first moments', 4 * count),
      second: gpu.memory.storage('second moments', 4 * count),
      squares: gpu.memory.storage('squares', 4 * SQUARES),
      settings: gpu.memory.storage('optimiser settings', 32),
      ...(own && { rates: gpu.memory.upload('learning rates', own) }),
    }
    return new Optimiser(gpu, buffers, arena, kernel(arena, { ...buffers, values, gradients }), count)
  }

  /** Steps taken so far. */
  get steps(): number {
    return this.#steps
  }

  /** Moves the parameters by the gradients that were added up, and sets these to zero. */
  step(options: { readonly learningRate: number } & Partial<Omit<AdamWOptions, 'rates'>>): void {
    this.#steps++
    const { queue } = this.gpu.device
    queue.writeBuffer(this.buffers.settings, 0, adamWSettings(this.#steps, { ...DEFAULTS, ...options }))
    const encoder = this.gpu.device.createCommandEncoder()
    const pass = encoder.beginComputePass()
    record(pass, this.dispatches, { rows: 1, context: 1 })
    pass.end()
    queue.submit([encoder.finish()])
  }

  async moments(): Promise<Moments> {
    const read = async (buffer: GPUBuffer) =>
      new Float32Array((await readBuffer(this.gpu, buffer, 4 * this.count)).buffer as ArrayBuffer)
    return { first: await read(this.buffers.first), second: await read(this.buffers.second) }
  }

  /** Goes on as the optimiser did that had these moments after so many steps. */
  restore(steps: number, { first, second }: Moments): void {
    this.#steps = steps
    const { queue } = this.gpu.device
    queue.writeBuffer(this.buffers.first, 0, first)
    queue.writeBuffer(this.buffers.second, 0, second)
  }

  destroy(): void {
    this.arena.destroy()
    for (const buffer of Object.values(this.buffers)) this.gpu.memory.destroy(buffer)
  }
}
