import type { WeightDtype } from '../../shaders/snippets/weights.js'
import type { GpuDevice } from '../gpu/device.js'
import { betterPieces, choosePieces, type Piece } from '../storage/residency.js'
import { bytesByLayer, slotBytes } from './layer-bytes.js'
import { type MatrixName, type MatrixTensor, PARTS, type Part } from './layer-matrices.js'
import { type MatrixLoader, type MatrixTarget, type MoveOptions, matrixBytes } from './matrix-loader.js'

/** The buffers of one layer's matrices. */
export type LayerMatrices = Readonly<Record<MatrixName, GPUBuffer>>

/** One part of one layer: what stays or comes as a whole. */
interface LayerPart extends Piece {
  readonly layer: number
  readonly part: Part
}

/** Visits of a sublayer that count; older ones fade. */
const REMEMBERED = 256

/** From this probability on, a part is brought without asking whether it is needed. */
const LIKELY = 0.9

export interface WeightStreamOptions {
  readonly gpu: GpuDevice
  readonly loader: MatrixLoader
  readonly dtypes: readonly Readonly<Record<MatrixName, WeightDtype>>[]
  readonly shapes: Readonly<Record<MatrixName, { rows: number; k: number }>>
  /** The tensors of each layer. */
  readonly layers: readonly (readonly MatrixTensor[])[]
  /** Bytes for all of the layers' matrices. At least `slotBytes`. */
  readonly room: number
}

/**
 * The matrices of layers that do not all fit into GPU memory. The parts that most tokens need stay; the others share one slot for
 * attention and one for the MLP, and are brought ahead of their use. Work that was submitted before a part is brought still finds the
 * old one: a queue does things in order, so parts are on their way while the GPU computes what comes before.
 */
export class WeightStream {
  /** Changes whenever `matrices` does: what was bound to them must be bound again. */
  generation = 0
  readonly #parts: readonly LayerPart[]
  /** The parts that stay, with their buffers. Keys and values have none where they lie in those of their attention. */
  readonly #kept = new Map<LayerPart, readonly GPUBuffer[]>()
  readonly #slots: LayerMatrices
  /** The layer whose part a slot holds. */
  readonly #held: Partial<Record<Part, number>> = {}
  readonly #visits: readonly Visits[]
  /** By layer: tokens of which keys and values were made. Never fewer than ran its attention. */
  readonly #keysValues: readonly Visits[]
  #last: Promise<unknown> = Promise.resolve()

  constructor(private readonly options: WeightStreamOptions) {
    // Beginning with one execution, nothing is taken for rare too early.
    const visits = options.layers.flatMap(() => [new Visits(), new Visits()])
    this.#visits = visits
    const keysValues = options.layers.map(() => new Visits())
    this.#keysValues = keysValues
    const all = options.layers.flatMap((tensors, layer) =>
      PARTS.map((part): LayerPart => {
        const bytes = tensors
          .filter((t) => t.part === part)
          .reduce((sum, t) => sum + this.#rowBytes(layer, t.matrix) * t.rows, 0)
        const visitsOf = { keysValues: keysValues[layer], attention: visits[2 * layer], mlp: visits[2 * layer + 1] }
        const counted = visitsOf[part] as Visits
        return {
          layer,
          part,
          bytes,
          get runs() {
            return counted.share
          },
        }
      }),
    )
    // Of parts that are needed equally often, keys and values stay first: no attention stays without them.
    this.#parts = [...all.filter((p) => p.part === 'keysValues'), ...all.filter((p) => p.part !== 'keysValues')]
    const slot = (matrix: MatrixName) =>
      options.gpu.memory.storage(`slot ${matrix}`, Math.max(...bytesByLayer(options, matrix)))
    this.#slots = { qkv: slot('qkv'), o: slot('o'), gateUp: slot('gateUp'), down: slot('down') }
  }

  /** Makes room for the parts that stay at first, and says what to load into it. */
  begin(): MatrixTarget[] {
    const wanted = choosePieces(this.#parts, this.#room)
    return [...wanted].flatMap((part) => this.#keep(part, wanted))
  }

  /** Runs `work` while no other step uses the slots, or anything else that only lives for a step. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(work)
    this.#last = mine.catch(() => undefined)
    return mine
  }

  /** The buffers of a layer at present: its own, or the slots that it shares. */
  matrices(layer: number): LayerMatrices {
    const slots = this.#slots
    const [qkv = slots.qkv, o = slots.o] = this.#own(layer, 'attention') ?? []
    const [gateUp = slots.gateUp, down = slots.down] = this.#own(layer, 'mlp') ?? []
    return { qkv, o, gateUp, down }
  }

  /** Whether a part has to be brought before the layer can use it. */
  isAway(layer: number, part: Part): boolean {
    return !this.#own(layer, part === 'mlp' ? 'mlp' : 'attention') && this.#held[part] !== layer
  }

  /** Whether `rows` tokens almost certainly need a part, one of them or more. */
  isLikely(layer: number, part: Part, rows: number): boolean {
    return 1 - (1 - this.#part(layer, part).runs) ** rows >= LIKELY
  }

  /** Brings a part that is away into its slot. What uses the slot's present content must have been submitted before. */
  async bring(layer: number, part: Part, options: MoveOptions): Promise<void> {
    delete this.#held[part]
    const kept = part === 'keysValues' ? this.#own(layer, part)?.[0] : undefined
    if (kept) this.#copyKeysValues(layer, kept)
    else for (const target of this.#targets(layer, part, this.#slots)) await this.options.loader.load(target, options)
    this.#held[part] = layer
  }

  /** Counts what one token executed, and the layers that made its keys and values. */
  observe(executed: (sublayer: number) => boolean, keysValues: (layer: number) => boolean): void {
    for (const [sublayer, visits] of this.#visits.entries()) visits.add(executed(sublayer))
    for (const [layer, visits] of this.#keysValues.entries()) visits.add(keysValues(layer))
  }

  /** Lets other parts stay where what was counted says that this pays. Within `exclusively`, before anything is recorded. */
  async adapt(options: MoveOptions): Promise<void> {
    const wanted = betterPieces(this.#parts, new Set(this.#kept.keys()), this.#room)
    if (!wanted) return
    const changes = (part: LayerPart) => wanted.has(part) !== this.#kept.has(part)
    const changing = this.#parts.filter(
      (part) => changes(part) || (part.part === 'keysValues' && changes(this.#part(part.layer, 'attention'))),
    )
    this.generation++
    for (const part of changing) this.#drop(part)
    for (const part of changing) {
      if (!wanted.has(part)) continue
      const targets = this.#keep(part, wanted)
      try {
        for (const target of targets) await this.options.loader.load(target, options)
      } catch (error) {
        this.#drop(part)
        throw error
      }
    }
  }

  destroy(): void {
    for (const part of [...this.#kept.keys()]) this.#drop(part)
    for (const buffer of Object.values(this.#slots)) this.options.gpu.memory.destroy(buffer)
  }

  get #room(): number {
    return this.options.room - slotBytes(this.options)
  }

  #part(layer: number, part: Part): LayerPart {
    return this.#parts.find((p) => p.layer === layer && p.part === part) as LayerPart
  }

  #own(layer: number, part: Part): readonly GPUBuffer[] | undefined {
    return this.#kept.get(this.#part(layer, part))
  }

  /** Allocates a part that is to stay, and says what to load into it. */
  #keep(kept: LayerPart, wanted: ReadonlySet<LayerPart>): MatrixTarget[] {
    const { layer, part } = kept
    if (part === 'mlp') {
      const own = { gateUp: this.#allocate(layer, 'gateUp'), down: this.#allocate(layer, 'down') }
      this.#kept.set(kept, [own.gateUp, own.down])
      return this.#targets(layer, part, own)
    }
    if (part === 'attention') {
      const own = { qkv: this.#allocate(layer, 'qkv'), o: this.#allocate(layer, 'o') }
      this.#kept.set(kept, [own.qkv, own.o])
      return [...this.#targets(layer, 'keysValues', own), ...this.#targets(layer, part, own)]
    }
    if (wanted.has(this.#part(layer, 'attention'))) {
      this.#kept.set(kept, [])
      return []
    }
    const qkv = this.options.gpu.memory.storage(`layer ${layer} keys, values`, kept.bytes)
    this.#kept.set(kept, [qkv])
    return this.#targets(layer, part, { qkv }, this.#firstKeyRow)
  }

  #drop(part: LayerPart): void {
    for (const buffer of this.#kept.get(part) ?? []) this.options.gpu.memory.destroy(buffer)
    this.#kept.delete(part)
  }

  #allocate(layer: number, matrix: MatrixName): GPUBuffer {
    const bytes = this.#rowBytes(layer, matrix) * this.options.shapes[matrix].rows
    return this.options.gpu.memory.storage(`layer ${layer} ${matrix}`, bytes)
  }

  #dtype(layer: number, matrix: MatrixName): WeightDtype {
    return (this.options.dtypes[layer] as Record<MatrixName, WeightDtype>)[matrix]
  }

  #rowBytes(layer: number, matrix: MatrixName): number {
    return matrixBytes(1, this.options.shapes[matrix].k, this.#dtype(layer, matrix))
  }

  /** The tensors of a part, and where they go in `into`, which begins with row `firstRow` of its matrix. */
  #targets(layer: number, part: Part, into: Partial<LayerMatrices>, firstRow = 0): MatrixTarget[] {
    return (this.options.layers[layer] ?? [])
      .filter((tensor) => tensor.part === part)
      .map(({ name, rows, k, matrix, row }) => {
        return {
          name,
          rows,
          k,
          dtype: this.#dtype(layer, matrix),
          buffer: into[matrix] as GPUBuffer,
          row: row - firstRow,
        }
      })
  }

  /** Rows of Q, behind which those of K begin. */
  get #firstKeyRow(): number {
    return Math.min(...(this.options.layers[0] ?? []).filter((t) => t.part === 'keysValues').map((t) => t.row))
  }

  #copyKeysValues(layer: number, kept: GPUBuffer): void {
    const { device } = this.options.gpu
    const encoder = device.createCommandEncoder()
    const offset = this.#rowBytes(layer, 'qkv') * this.#firstKeyRow
    encoder.copyBufferToBuffer(kept, 0, this.#slots.qkv, offset, this.#part(layer, 'keysValues').bytes)
    device.queue.submit([encoder.finish()])
  }
}

/** How often a sublayer executed of late. */
class Visits {
  #all = 1
  #executed = 1

  get share(): number {
    return this.#executed / this.#all
  }

  add(executed: boolean): void {
    this.#all++
    if (executed) this.#executed++
    if (this.#all <= REMEMBERED) return
    this.#all /= 2
    this.#executed /= 2
  }
}
