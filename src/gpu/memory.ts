import { SkipstoneError } from '../errors.js'

/**
 * The one place that makes and destroys GPU buffers, so that the bytes in use are known at every moment.
 */
export class GpuMemory {
  #bytes = 0
  readonly #sizes = new Map<GPUBuffer, number>()

  constructor(private readonly device: GPUDevice) {}

  /** Bytes in live buffers. */
  get bytes(): number {
    return this.#bytes
  }

  /** Bytes that a storage buffer can have. */
  get largestStorage(): number {
    return Math.min(this.device.limits.maxBufferSize, this.device.limits.maxStorageBufferBindingSize)
  }

  /**
   * A zero-initialised buffer of at least `size` bytes (rounded up to 16).
   * @throws `out-of-memory` where `size` exceeds what this device allows for one buffer or one binding.
   */
  create(label: string, size: number, usage: GPUBufferUsageFlags): GPUBuffer {
    const rounded = Math.max(16, Math.ceil(size / 16) * 16)
    const limit = usage & GPUBufferUsage.STORAGE ? this.largestStorage : Number(this.device.limits.maxBufferSize)
    if (rounded > limit) {
      throw new SkipstoneError(
        'out-of-memory',
        `${label} needs ${rounded} bytes in one buffer, but this device allows ${limit}: choose a smaller model, dtype or context.`,
      )
    }
    const buffer = this.device.createBuffer({ label, size: rounded, usage })
    this.#sizes.set(buffer, rounded)
    this.#bytes += rounded
    return buffer
  }

  /** A storage buffer that can be written, read back and copied. */
  storage(label: string, size: number): GPUBuffer {
    return this.create(label, size, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC)
  }

  /** A storage buffer with these contents. */
  upload(label: string, data: ArrayBufferView<ArrayBuffer>): GPUBuffer {
    const buffer = this.storage(label, data.byteLength)
    this.device.queue.writeBuffer(buffer, 0, padded(data))
    return buffer
  }

  /** A buffer that is being mapped goes when that is over, which `mapping` tells: Dawn in Node may crash on one that goes before. */
  destroy(buffer: GPUBuffer, mapping?: Promise<unknown>): void {
    const size = this.#sizes.get(buffer)
    if (size === undefined) return
    this.#sizes.delete(buffer)
    this.#bytes -= size
    const free = () => buffer.destroy()
    if (mapping) mapping.then(free, free)
    else free()
  }
}

/** `writeBuffer` takes multiples of four bytes: an odd tail is copied into a padded array. */
export function padded(data: ArrayBufferView<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  if (bytes.length % 4 === 0) return bytes
  const copy = new Uint8Array(Math.ceil(bytes.length / 4) * 4)
  copy.set(bytes)
  return copy
}
