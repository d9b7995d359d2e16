import { rowWords, type WeightDtype } from '../../shaders/snippets/weights.js'
import { SkipstoneError, throwIfAborted } from '../errors.js'
import { GGML_BLOCKS, type GgmlBlockType } from '../formats/gguf-blocks.js'
import type { TensorEntry } from '../formats/safetensors.js'
import type { GpuDevice } from '../gpu/device.js'
import { ParamsArena, record } from '../gpu/dispatch.js'
import { padded } from '../gpu/memory.js'
import { workDone } from '../gpu/readback.js'
import { materialiseKernel } from '../kernels/materialise.js'
import { quantiseKernel } from '../kernels/quantise.js'
import type { Adapter } from './adapter.js'
import type { Checkpoint } from './checkpoint.js'
import { isRepacked, REPACKED, repack } from './repack.js'
import { plainDtype, storedType } from './stored-type.js'

/** JS and staging memory hold at most this much of a matrix at a time. */
const PIECE_BYTES = 4 << 20

/** Bytes of a matrix of `rows` × `k` as the kernels read it. */
export function matrixBytes(rows: number, k: number, dtype: WeightDtype): number {
  return 4 * rows * rowWords(Math.ceil(k / 4), dtype)
}

/** Bytes given to the GPU before those before them are waited for: until then it holds copies of them. */
const IN_FLIGHT_BYTES = 4 << 20

/** A tensor of a checkpoint, and where it goes. */
export interface MatrixTarget {
  readonly name: string
  readonly rows: number
  /** Values in a row. */
  readonly k: number
  readonly dtype: WeightDtype
  readonly buffer: GPUBuffer
  /** The buffer's row in which it begins. */
  readonly row: number
}

export interface MoveOptions {
  readonly signal: AbortSignal | undefined
  /** Called with the bytes of every piece that was read. */
  readonly onBytes: (bytes: number) => void
}

/** Moves matrices from a checkpoint into GPU buffers, piece by piece, converting and merging adapters on the GPU. */
export class MatrixLoader {
  #inFlight = 0
  #earlier: Promise<void> = Promise.resolve()
  /** What is read goes through here, one piece after the other. */
  #staging = new Uint8Array(0)

  constructor(
    private readonly gpu: GpuDevice,
    private readonly checkpoint: Checkpoint,
    private readonly adapter: Adapter | undefined,
  ) {}

  /**
   * Whether `name` can be loaded as `[rows, k]`, with the adapter's update of it.
   * @throws `missing-tensor`, `bad-file` where its shape is another, `unsupported` for its dtype, `wrong-model` for the update.
   */
  check(name: string, rows: number, k: number): TensorEntry {
    const lora = this.adapter?.get(name)
    const entry = this.checkpoint.entries.get(name)
    if (!entry) throw new SkipstoneError('missing-tensor', `The checkpoint lacks the tensor ${name}.`)
    if (entry.shape.length !== 2 || entry.shape[0] !== rows || entry.shape[1] !== k) {
      throw new SkipstoneError(
        'bad-file',
        `The tensor ${name} has shape [${entry.shape.join(', ')}], but config.json asks for [${rows}, ${k}].`,
      )
    }
    if (lora && (lora.k !== k || lora.n !== rows)) {
      throw new SkipstoneError(
        'wrong-model',
        `The adapter's update of ${name} is for [${lora.n}, ${lora.k}], but this model has [${rows}, ${k}]: it belongs to another model.`,
      )
    }
    const type = storedType(entry)
    if (k % GGML_BLOCKS[type].values !== 0) {
      throw new SkipstoneError('bad-file', `Rows of ${k} values of the tensor ${name} are no whole blocks of ${type}.`)
    }
    return entry
  }

  /** @throws as `check`, and as `FileSource.read`. Calls must not overlap. */
  async load({ name, rows, k, dtype, buffer, row: targetRow }: MatrixTarget, options: MoveOptions): Promise<void> {
    const { signal, onBytes } = options
    const type = storedType(this.check(name, rows, k))
    const lora = this.adapter?.get(name)
    const { values, bytes: blockBytes } = GGML_BLOCKS[type]
    const rowBytes = (k / values) * blockBytes
    const plain = plainDtype(type)
    // What the kernels read as it is stored needs no kernel to get there.
    const direct = plain === dtype && k % 4 === 0 && !lora
    const asBlocks = isRepacked(type) && REPACKED[type] === dtype && !lora
    const targetBytes = matrixBytes(1, k, dtype)
    // An even number of rows keeps every piece of 16-bit values on a whole word.
    const pieceRows = Math.max(2, Math.floor(PIECE_BYTES / rowBytes / 2) * 2)
    for (let row = 0; row < rows; row += pieceRows) {
      throwIfAborted(signal)
      this.gpu.check()
      const count = Math.min(pieceRows, rows - row)
      if (this.#staging.byteLength < count * rowBytes) this.#staging = new Uint8Array(count * rowBytes)
      const [start, end] = [row * rowBytes, (row + count) * rowBytes]
      const stored = await this.checkpoint.read(name, start, end, signal, this.#staging)
      const bytes = isRepacked(type) ? repack(type, stored, k) : stored
      if (direct || asBlocks) this.gpu.device.queue.writeBuffer(buffer, (targetRow + row) * targetBytes, bytes)
      else
        await this.#convert(bytes, buffer, { name, type, to: dtype, row, rows: count, k, targetRow: targetRow + row })
      onBytes(stored.byteLength)
      this.#inFlight += count * Math.max(targetBytes, rowBytes)
      if (this.#inFlight > IN_FLIGHT_BYTES) {
        this.#inFlight = 0
        await this.#earlier
        this.#earlier = workDone(this.gpu)
        this.#earlier.catch(() => undefined)
      }
    }
  }

  async #convert(
    bytes: Uint8Array<ArrayBuffer>,
    words: GPUBuffer,
    piece: {
      name: string
      type: GgmlBlockType
      to: WeightDtype
      row: number
      rows: number
      k: number
      targetRow: number
    },
  ): Promise<void> {
    const { name, type, to, row, rows, k, targetRow } = piece
    const lora = this.adapter?.get(name)
    const from = isRepacked(type) ? { dtype: REPACKED[type], k4: k / 4 } : plainDtype(type)
    if (to === 'q4_k' || to === 'q5_k' || to === 'q6_k' || !from) {
      throw new SkipstoneError('internal', `${name} cannot be converted from ${type} to ${to} while loading.`)
    }
    const options = { from, lora: lora !== undefined }
    const kernel =
      to === 'q8' || to === 'q4'
        ? await quantiseKernel(this.gpu, { ...options, to })
        : await materialiseKernel(this.gpu, { ...options, to })
    const source = this.gpu.memory.upload('piece', padded(bytes))
    const none = new Float32Array(4)
    const a = this.gpu.memory.upload('lora A', lora?.a ?? none)
    const b = this.gpu.memory.upload('lora B', lora ? lora.b.subarray(row * lora.rank, (row + rows) * lora.rank) : none)
    const arena = new ParamsArena(this.gpu)
    const dispatch = kernel(
      arena,
      { source, words, loraA: a, loraB: b },
      { rows, k, targetRow, rank: lora?.rank ?? 0, scale: lora?.scale ?? 0 },
    )
    const encoder = this.gpu.device.createCommandEncoder()
    const pass = encoder.beginComputePass()
    record(pass, [dispatch], { rows, context: 0 })
    pass.end()
    this.gpu.device.queue.submit([encoder.finish()])
    // Destroying is deferred by WebGPU until the submitted work is done.
    for (const buffer of [source, a, b]) this.gpu.memory.destroy(buffer)
    arena.destroy()
  }
}
