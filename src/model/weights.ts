import type { WeightDtype } from '../../shaders/snippets/weights.js'
import { SkipstoneError } from '../errors.js'
import { readF32, type TensorEntry } from '../formats/safetensors.js'
import type { GpuDevice } from '../gpu/device.js'
import type { Adapter } from './adapter.js'
import { ARCHITECTURES } from './architectures/index.js'
import type { Checkpoint } from './checkpoint.js'
import type { ModelConfig } from './config.js'
import { MatrixLoader, matrixBytes } from './matrix-loader.js'
import { REPACKED } from './repack.js'
import { plainDtype, storedType } from './stored-type.js'
import { VectorArena } from './vector-arena.js'

/** One decoder layer on the GPU. Numbers are offsets into `ModelWeights.vectors`, in units of four values. */
export interface LayerWeights {
  /** Rows of Q, then K, then V: [(heads + 2 kvHeads) headDim, hidden]. */
  readonly qkv: GPUBuffer
  /** [hidden, heads headDim] */
  readonly o: GPUBuffer
  /** Rows of gate, then up: [2 intermediate, hidden]. */
  readonly gateUp: GPUBuffer
  /** [hidden, intermediate] */
  readonly down: GPUBuffer
  readonly inputNorm: number
  readonly postNorm: number
  readonly qkvBias: number
  /** Q's weights, then K's. */
  readonly qkNorm: number
  readonly oBias: number
  readonly gateUpBias: number
  readonly downBias: number
}

/** A model's weights on one device. */
export interface ModelWeights {
  /** Of the layers' matrices. */
  readonly dtype: WeightDtype
  /** Of embedding and head, which suffer more from few bits. */
  readonly headDtype: WeightDtype
  readonly embedding: GPUBuffer
  /** The same buffer as `embedding` where they are tied. */
  readonly head: GPUBuffer
  /** Norm weights and biases, f32. */
  readonly vectors: GPUBuffer
  readonly finalNorm: number
  readonly layers: readonly LayerWeights[]
  destroy(): void
}

/** How weights are to be held on the GPU: as they were stored, or converted while loading. `q4` keeps embedding and head in q8. */
export type DtypeOption = 'stored' | 'f32' | 'f16' | 'q8' | 'q4'

/** The dtype of embedding and head where layers have `dtype`. */
export function headDtypeOf(dtype: WeightDtype): WeightDtype {
  return dtype === 'q4' ? 'q8' : dtype
}

export interface LoadWeightsOptions {
  dtype?: DtypeOption
  adapter?: Adapter | undefined
  signal?: AbortSignal | undefined
  /** Bytes read so far, and in all. */
  onProgress?: ((loaded: number, total: number) => void) | undefined
}

/**
 * The forms that `option` means for the layers of this checkpoint, and for embedding and head. `stored` is what they are stored
 * as, where all of a group are stored alike and kernels read it; other blocks become f16.
 */
export function resolveDtypes(
  option: DtypeOption,
  config: ModelConfig,
  checkpoint: Checkpoint,
): Pick<ModelWeights, 'dtype' | 'headDtype'> {
  if (option !== 'stored') return { dtype: option, headDtype: headDtypeOf(option) }
  const { embedding, head, layer } = ARCHITECTURES[config.architecture].tensors
  const first = checkpoint.entries.get(layer(0, config).q)
  if (!first) throw new SkipstoneError('missing-tensor', `The checkpoint lacks the tensor ${layer(0, config).q}.`)
  const matrices = [...checkpoint.entries.values()].filter(({ shape }) => shape.length === 2)
  const isOuter = ({ name }: TensorEntry) => name === embedding || name === head
  const [outer = first] = matrices.filter(isOuter)
  return {
    dtype: storedForm(
      first,
      matrices.filter((entry) => !isOuter(entry)),
    ),
    headDtype: storedForm(outer, matrices.filter(isOuter)),
  }
}

function storedForm(first: TensorEntry, group: readonly TensorEntry[]): WeightDtype {
  const type = storedType(first)
  const plain = plainDtype(type)
  if (plain) return plain
  const alike = group.every(({ dtype }) => dtype === type)
  return alike && (type === 'Q8_0' || type === 'Q4_0') ? REPACKED[type] : 'f16'
}

/**
 * Loads every weight that `config` asks for.
 * @throws `missing-tensor`, `bad-file`, `wrong-model` (adapter), `out-of-memory`, `aborted`, `device-lost`. Nothing stays
 * allocated after a failure.
 */
export async function loadWeights(
  gpu: GpuDevice,
  config: ModelConfig,
  checkpoint: Checkpoint,
  options: LoadWeightsOptions = {},
): Promise<ModelWeights> {
  const buffers: GPUBuffer[] = []
  const destroy = () => {
    for (const buffer of buffers) gpu.memory.destroy(buffer)
  }
  gpu.device.pushErrorScope('out-of-memory')
  try {
    const weights = await load(gpu, config, checkpoint, options, buffers)
    const error = await gpu.device.popErrorScope()
    if (error) {
      throw new SkipstoneError(
        'out-of-memory',
        `The GPU has no room for this model: ${error.message}. Choose a smaller model or dtype.`,
      )
    }
    gpu.check()
    return { ...weights, destroy }
  } catch (error) {
    destroy()
    gpu.device.popErrorScope().catch(() => undefined)
    gpu.check()
    throw error
  }
}

async function load(
  gpu: GpuDevice,
  config: ModelConfig,
  checkpoint: Checkpoint,
  options: LoadWeightsOptions,
  buffers: GPUBuffer[],
): Promise<Omit<ModelWeights, 'destroy'>> {
  const { signal, adapter } = options
  const { dtype, headDtype } = resolveDtypes(options.dtype ?? 'stored', config, checkpoint)
  const names = ARCHITECTURES[config.architecture].tensors
  const { hiddenSize, intermediateSize, heads, kvHeads, headDim, vocabSize } = config
  const unused = new Set(adapter?.keys())

  let total = 0
  for (const entry of checkpoint.entries.values()) total += entry.end - entry.start
  let loaded = 0
  const onBytes = (bytes: number) => {
    loaded += bytes
    options.onProgress?.(Math.min(loaded, total), total)
  }

  const loader = new MatrixLoader(gpu, checkpoint, { signal, onBytes })
  const jobs = new Map<string, () => Promise<void>>()
  const matrix = (
    label: string,
    k: number,
    parts: readonly (readonly [name: string, rows: number])[],
    as: WeightDtype = dtype,
  ) => {
    const rows = parts.reduce((sum, [, n]) => sum + n, 0)
    for (const [name, n] of parts) loader.check(name, n, k, adapter?.get(name))
    const buffer = gpu.memory.storage(label, matrixBytes(rows, k, as))
    buffers.push(buffer)
    let row = 0
    for (const [name, n] of parts) {
      const first = row
      unused.delete(name)
      jobs.set(name, () => loader.load(name, n, k, as, buffer, first, adapter?.get(name)))
      row += n
    }
    return buffer
  }
  const vectors = new VectorArena()
  const vector = (parts: readonly (readonly [name: string | undefined, length: number])[]) => {
    const values: Float32Array[] = []
    for (const [name, length] of parts) {
      if (name === undefined) continue
      const entry = vectorEntry(checkpoint, name, length)
      const target = new Float32Array(length)
      values.push(target)
      jobs.set(name, async () => {
        target.set(readF32(entry, await checkpoint.read(name, 0, entry.end - entry.start, signal)))
        onBytes(entry.end - entry.start)
      })
    }
    return vectors.add(values)
  }

  // A tied file may hold the one matrix under either name.
  const tied = config.tiedEmbeddings
  const embeddingName = tied && !checkpoint.entries.has(names.embedding) ? names.head : names.embedding
  const embedding = matrix('embedding', hiddenSize, [[embeddingName, vocabSize]], headDtype)
  const head = tied ? embedding : matrix('head', hiddenSize, [[names.head, vocabSize]], headDtype)
  const layers: LayerWeights[] = []
  for (let i = 0; i < config.layers; i++) {
    const n = names.layer(i, config)
    const q = heads * headDim
    const kv = kvHeads * headDim
    // Each head's norm weights start at a whole vec4.
    const qNorm = vector([[n.qNorm, headDim]])
    vector([[n.kNorm, headDim]])
    layers.push({
      qkv: matrix(`layer ${i} qkv`, hiddenSize, [
        [n.q, q],
        [n.k, kv],
        [n.v, kv],
      ]),
      o: matrix(`layer ${i} o`, q, [[n.o, hiddenSize]]),
      gateUp: matrix(`layer ${i} gate, up`, hiddenSize, [
        [n.gate, intermediateSize],
        [n.up, intermediateSize],
      ]),
      down: matrix(`layer ${i} down`, intermediateSize, [[n.down, hiddenSize]]),
      inputNorm: vector([[n.inputNorm, hiddenSize]]),
      postNorm: vector([[n.postNorm, hiddenSize]]),
      qkvBias: vector([
        [n.qBias, q],
        [n.kBias, kv],
        [n.vBias, kv],
      ]),
      qkNorm: qNorm,
      oBias: vector([[n.oBias, hiddenSize]]),
      gateUpBias: vector([
        [n.gateBias, intermediateSize],
        [n.upBias, intermediateSize],
      ]),
      downBias: vector([[n.downBias, hiddenSize]]),
    })
  }
  const finalNorm = vector([[names.finalNorm, hiddenSize]])
  if (unused.size > 0) {
    throw new SkipstoneError(
      'wrong-model',
      `The adapter changes ${[...unused][0]}, which this model does not have: it belongs to another model.`,
    )
  }
  // In the order of the files: each of their chunks is read once.
  for (const name of checkpoint.entries.keys()) await jobs.get(name)?.()
  const vectorBuffer = gpu.memory.upload('vectors', vectors.concatenate())
  buffers.push(vectorBuffer)
  return { dtype, headDtype, embedding, head, vectors: vectorBuffer, finalNorm, layers }
}

function vectorEntry(checkpoint: Checkpoint, name: string, length: number): TensorEntry {
  const entry = checkpoint.entries.get(name)
  if (!entry) throw new SkipstoneError('missing-tensor', `The checkpoint lacks the tensor ${name}.`)
  if (entry.shape.length !== 1 || entry.shape[0] !== length) {
    throw new SkipstoneError(
      'bad-file',
      `The tensor ${name} has shape [${entry.shape.join(', ')}], but config.json asks for [${length}].`,
    )
  }
  return entry
}
