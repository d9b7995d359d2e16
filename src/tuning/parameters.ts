import { SkipstoneError } from '../errors.js'
import type { GpuDevice } from '../gpu/device.js'
import { readBuffer } from '../gpu/readback.js'

/** A tensor by its name in checkpoints, row-major. */
export interface ParameterTensor {
  readonly name: string
  readonly shape: readonly number[]
  readonly data: Float32Array
}

/**
 * Tensors that train, or that a training step reads, one behind the other in a buffer of f32; their gradients lie in another one in the same
 * order, so that the optimiser takes them all at once.
 */
export class Parameters {
  readonly count: number
  readonly values: GPUBuffer
  /** Undefined where they are frozen. A step adds to it. */
  readonly gradients: GPUBuffer | undefined
  readonly #tensors = new Map<string, { at: number; size: number; shape: readonly number[] }>()

  constructor(
    private readonly gpu: GpuDevice,
    tensors: readonly ParameterTensor[],
    trains: boolean,
  ) {
    let at = 0
    for (const { name, data, shape } of tensors) {
      this.#tensors.set(name, { at, size: data.length, shape })
      at += data.length
    }
    this.count = at
    const all = new Float32Array(at)
    for (const { name, data, shape } of tensors) all.set(data, this.at(name, shape))
    this.values = gpu.memory.upload('parameters', all)
    this.gradients = trains ? gpu.memory.storage('gradients', 4 * at) : undefined
  }

  /**
   * Where a tensor of this shape begins, in values.
   * @throws `missing-weights` where there is none of this name; `wrong-model` where it has another shape.
   */
  at(name: string, shape: readonly number[]): number {
    const tensor = this.#tensors.get(name)
    if (!tensor) {
      throw new SkipstoneError('missing-weights', `There is no "${name}"; give the routers or the LoRA of every layer.`)
    }
    if (tensor.shape.join() !== shape.join()) {
      throw new SkipstoneError(
        'wrong-model',
        `"${name}" has the shape [${tensor.shape.join(', ')}] where [${shape.join(', ')}] is needed; use what was made for this model.`,
      )
    }
    return tensor.at
  }

  /** All tensors of `values` or `gradients`, by name. */
  async read(buffer: GPUBuffer): Promise<Map<string, Float32Array>> {
    const all = await this.readAll(buffer)
    return new Map([...this.#tensors].map(([name, { at, size }]) => [name, all.slice(at, at + size)]))
  }

  /** `values` or `gradients` as they lie. */
  async readAll(buffer: GPUBuffer): Promise<Float32Array<ArrayBuffer>> {
    return new Float32Array((await readBuffer(this.gpu, buffer, 4 * this.count)).buffer as ArrayBuffer)
  }

  /** Replaces all values, and forgets gradients. */
  write(values: Float32Array<ArrayBuffer>): void {
    const { queue } = this.gpu.device
    queue.writeBuffer(this.values, 0, values)
    if (this.gradients) queue.writeBuffer(this.gradients, 0, new Float32Array(this.count))
  }

  destroy(): void {
    this.gpu.memory.destroy(this.values)
    if (this.gradients) this.gpu.memory.destroy(this.gradients)
  }
}
