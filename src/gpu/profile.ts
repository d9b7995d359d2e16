import { SkipstoneError } from '../errors.js'
import type { GpuDevice } from './device.js'
import { readBuffer } from './readback.js'

/** Time that one dispatch took on the GPU. */
export interface DispatchTime {
  readonly label: string
  readonly ms: number
}

/** Dispatches that a query set has room for. */
const CAPACITY = 2048

/** Times dispatches by the device's timestamps, each in a pass of its own: passes do not overlap, so what runs side by side otherwise takes longer here. */
export class GpuProfile {
  readonly #queries: GPUQuerySet
  readonly #labels: string[] = []

  /** @throws `unsupported` where the device has no timestamps. */
  constructor(private readonly gpu: GpuDevice) {
    if (!gpu.features.has('timestamp-query')) {
      throw new SkipstoneError('unsupported', 'This device has no timestamps, so that nothing can be profiled on it.')
    }
    this.#queries = gpu.device.createQuerySet({ type: 'timestamp', count: 2 * CAPACITY })
  }

  /** What a pass for one dispatch writes; undefined once there is no room. */
  next(label: string): GPUComputePassTimestampWrites | undefined {
    const first = 2 * this.#labels.length
    if (first === 2 * CAPACITY) return undefined
    this.#labels.push(label)
    return { querySet: this.#queries, beginningOfPassWriteIndex: first, endOfPassWriteIndex: first + 1 }
  }

  /** The times so far, in the order of the dispatches, which have been submitted; begins anew. */
  async read(): Promise<DispatchTime[]> {
    const { gpu } = this
    const labels = this.#labels.splice(0)
    if (labels.length === 0) return []
    const bytes = 16 * labels.length
    const resolved = gpu.memory.create('timestamps', bytes, GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC)
    const encoder = gpu.device.createCommandEncoder()
    encoder.resolveQuerySet(this.#queries, 0, 2 * labels.length, resolved, 0)
    gpu.device.queue.submit([encoder.finish()])
    const words = await readBuffer(gpu, resolved, bytes)
    gpu.memory.destroy(resolved)
    const ticks = new BigUint64Array(words.buffer, 0, 2 * labels.length)
    return labels.map((label, i) => ({
      label,
      ms: Number((ticks[2 * i + 1] as bigint) - (ticks[2 * i] as bigint)) / 1e6,
    }))
  }

  destroy(): void {
    this.#queries.destroy()
  }
}
