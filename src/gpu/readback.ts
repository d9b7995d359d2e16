import { SkipstoneError } from '../errors.js'
import type { GpuDevice } from './device.js'

/**
 * Firefox resolves `mapAsync` on a poll of about 100 ms unless work keeps being submitted (bug 1870699): an empty
 * submit on every turn of the event loop brings a read-back down to half a millisecond.
 */
const needsNudging = typeof navigator !== 'undefined' && /firefox/i.test(navigator.userAgent ?? '')

async function nudged<T>(gpu: GpuDevice, waiting: Promise<T>): Promise<T> {
  let done = false
  const result = waiting.finally(() => {
    done = true
  })
  if (needsNudging) {
    while (!done && !gpu.isLost) {
      gpu.device.queue.submit([])
      await new Promise((resolve) => setTimeout(resolve))
    }
  }
  return result
}

/** Waits until the GPU has done what was given to it so far, and has let go of the bytes that were written for it. */
export async function workDone(gpu: GpuDevice): Promise<void> {
  // Bytes written to buffers stay in staging memory until the next submit.
  gpu.device.queue.submit([])
  await nudged(gpu, gpu.device.queue.onSubmittedWorkDone())
}

/**
 * The least that a read-back buffer holds. How many steps go into a submit follows the measured speed: their records fit at any pace, so
 * that buffers need not grow, and the bytes in use do not depend on how fast the device was.
 */
const LEAST_BYTES = 4096

/** Mappable buffers that rotate: one is read on the CPU while the next steps run and fill another. */
export class ReadbackRing {
  readonly #free: GPUBuffer[] = []
  readonly #all = new Set<GPUBuffer>()
  readonly #mapping = new Map<GPUBuffer, Promise<unknown>>()
  #waits = 0

  constructor(private readonly gpu: GpuDevice) {}

  /** How often the CPU waited for the GPU through this ring. */
  get waits(): number {
    return this.#waits
  }

  /** Records a copy of `size` bytes of `source` into a free buffer; call the result after the submit to read them. */
  record(encoder: GPUCommandEncoder, source: GPUBuffer, offset: number, size: number): () => Promise<Uint32Array> {
    const rounded = Math.ceil(size / 4) * 4
    const buffer = this.#take(rounded)
    encoder.copyBufferToBuffer(source, offset, buffer, 0, rounded)
    return () => this.#read(buffer, rounded)
  }

  /** As `record`, for single words of `source`. */
  gather(encoder: GPUCommandEncoder, source: GPUBuffer, words: readonly number[]): () => Promise<Uint32Array> {
    const buffer = this.#take(4 * words.length)
    for (const [i, word] of words.entries()) encoder.copyBufferToBuffer(source, 4 * word, buffer, 4 * i, 4)
    return () => this.#read(buffer, 4 * words.length)
  }

  async #read(buffer: GPUBuffer, size: number): Promise<Uint32Array> {
    this.#check(buffer)
    this.#waits++
    const mapping = buffer.mapAsync(GPUMapMode.READ, 0, size)
    this.#mapping.set(buffer, mapping)
    try {
      await nudged(this.gpu, mapping)
    } catch (cause) {
      this.#check(buffer)
      await this.gpu.lostSoon()
      throw this.gpu.isLost
        ? this.gpu.lostError()
        : new SkipstoneError('internal', 'Reading results back from the GPU failed.', { cause })
    }
    this.#check(buffer)
    // A lost device may resolve mappings with zeros.
    if (this.gpu.isLost) throw this.gpu.lostError()
    const words = new Uint32Array(buffer.getMappedRange(0, size).slice(0))
    buffer.unmap()
    this.#mapping.delete(buffer)
    this.#free.push(buffer)
    return words
  }

  /** The ring may be destroyed while somebody still waits for it. */
  #check(buffer: GPUBuffer): void {
    if (!this.#all.has(buffer)) {
      throw new SkipstoneError('disposed', 'This was disposed of before it was read.')
    }
  }

  #take(size: number): GPUBuffer {
    const fit = this.#free.findIndex((b) => b.size >= size)
    if (fit >= 0) return this.#free.splice(fit, 1)[0] as GPUBuffer
    // Nothing free is large enough: replace a smaller one instead of keeping both.
    const small = this.#free.pop()
    if (small) {
      this.#all.delete(small)
      this.gpu.memory.destroy(small)
    }
    const bytes = Math.max(size, LEAST_BYTES)
    const buffer = this.gpu.memory.create('readback', bytes, GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST)
    this.#all.add(buffer)
    return buffer
  }

  destroy(): void {
    for (const buffer of this.#all) this.gpu.memory.destroy(buffer, this.#mapping.get(buffer))
    this.#all.clear()
    this.#mapping.clear()
    this.#free.length = 0
  }
}

/** Reads a buffer once, outside any loop. */
export async function readBuffer(gpu: GpuDevice, source: GPUBuffer, size: number, offset = 0): Promise<Uint32Array> {
  const ring = new ReadbackRing(gpu)
  try {
    const encoder = gpu.device.createCommandEncoder()
    const read = ring.record(encoder, source, offset, size)
    gpu.device.queue.submit([encoder.finish()])
    return await read()
  } finally {
    ring.destroy()
  }
}
