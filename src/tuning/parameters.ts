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
  readonly #tensors = new Map<string, { at: number; size: number }>()

  constructor(
    private readonly gpu: GpuDevice,
    tensors: readonly ParameterTensor[],
    trains: boolean,
  ) {
    let at = 0
    for (const { name, data } of tensors) {
      this.#tensors.set(name, { at, size: data.length })
      at += data.length
    }
    this.count = at
    const all = new Float32Array(at)
    for (const { name, data } of tensors) all.set(data, this.at(name))
    this.values = gpu.memory.upload('parameters', all)
    this.gradients = trains ? gpu.memory.storage('gradients', 4 * at) : undefined
  }

  /** Where a tensor begins, in values. */
  at(name: string): number {
    return this.#find(name).at
  }

  /** All tensors of `values` or `gradients`, by name. */
  async read(buffer: GPUBuffer): Promise<Map<string, Float32Array>> {
    const all = new Float32Array((await readBuffer(this.gpu, buffer, 4 * this.count)).buffer)
    return new Map([...this.#tensors].map(([name, { at, size }]) => [name, all.slice(at, at + size)]))
  }

  destroy(): void {
    this.gpu.memory.destroy(this.values)
    if (this.gradients) this.gpu.memory.destroy(this.gradients)
  }

  #find(name: string) {
    const tensor = this.#tensors.get(name)
    if (!tensor) throw new RangeError(`no parameter ${name}`)
    return tensor
  }
}
