import type { WeightDtype } from '../../shaders/snippets/weights.js'
import { SkipstoneError } from '../errors.js'
import type { GpuDevice } from '../gpu/device.js'
import type { Adapter } from './adapter.js'
import { ARCHITECTURES } from './architectures/index.js'
import type { Checkpoint } from './checkpoint.js'
import type { ModelConfig } from './config.js'
import { layerBytes, slotBytes } from './layer-bytes.js'
import { layerTensors, MATRICES, type MatrixName, matrixShapes } from './layer-matrices.js'
import { type DtypeOption, type MatrixDtypes, resolveDtypes } from './matrix-dtypes.js'
import { MatrixLoader, type MatrixTarget, type MoveOptions, matrixBytes } from './matrix-loader.js'
import { addLayerVectors, type LayerVectors, VectorLoader } from './vectors.js'
import type { LayerMatrices, WeightStream, WeightStreamOptions } from './weight-stream.js'

/** One decoder layer on the GPU: its matrices (see layer-matrices.ts), and where its vectors begin. */
export type LayerWeights = LayerMatrices & LayerVectors

/** A model's weights on one device. */
export interface ModelWeights {
  readonly dtypes: MatrixDtypes
  readonly embedding: GPUBuffer
  /** The same buffer as `embedding` where they are tied. */
  readonly head: GPUBuffer
  /** Norm weights and biases, f32. */
  readonly vectors: GPUBuffer
  readonly finalNorm: number
  /** With a stream, the buffers of the moment. */
  readonly layers: readonly LayerWeights[]
  /** Brings what did not fit into the budget; undefined where everything did. */
  readonly stream: WeightStream | undefined
  destroy(): void
}

export interface LoadWeightsOptions {
  dtype?: DtypeOption
  adapter?: Adapter | undefined
  /** Bytes that weights may take on the GPU. Where they are more, layers stream. Default: all that they need. */
  gpuBudget?: number | undefined
  signal?: AbortSignal | undefined
  /** Bytes read so far, and in all. */
  onProgress?: ((loaded: number, total: number) => void) | undefined
}

/**
 * Loads every weight that `config` asks for.
 * @throws `missing-tensor`, `bad-file`, `wrong-model` (adapter), `out-of-memory`, `bad-option` (a budget that is too small),
 * `aborted`, `device-lost`. Nothing stays allocated after a failure.
 */
export async function loadWeights(
  gpu: GpuDevice,
  config: ModelConfig,
  checkpoint: Checkpoint,
  options: LoadWeightsOptions = {},
): Promise<ModelWeights> {
  const owned: { destroy(): void }[] = []
  const destroy = () => {
    for (const one of owned) one.destroy()
  }
  gpu.device.pushErrorScope('out-of-memory')
  try {
    const weights = await load(gpu, config, checkpoint, options, owned)
    const error = await gpu.device.popErrorScope()
    if (error) {
      throw new SkipstoneError(
        'out-of-memory',
        `The GPU has no room for this model: ${error.message}. Choose a smaller model or dtype, or a gpuBudget.`,
      )
    }
    gpu.check()
    return Object.assign(weights, { destroy })
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
  owned: { destroy(): void }[],
): Promise<Omit<ModelWeights, 'destroy'>> {
  const { adapter } = options
  const dtypes = resolveDtypes(options.dtype ?? 'stored', config, checkpoint, adapter)
  const names = ARCHITECTURES[config.architecture].tensors
  const { hiddenSize, vocabSize } = config
  const loader = new MatrixLoader(gpu, checkpoint, adapter)
  const allocate = (label: string, bytes: number) => {
    const buffer = gpu.memory.storage(label, bytes)
    owned.push({ destroy: () => gpu.memory.destroy(buffer) })
    return buffer
  }
  const targets: MatrixTarget[] = []

  // A tied file may hold the one matrix under either name.
  const tied = config.tiedEmbeddings
  const embeddingName = tied && !checkpoint.entries.has(names.embedding) ? names.head : names.embedding
  const outer = (label: 'embedding' | 'head', name: string) => {
    loader.check(name, vocabSize, hiddenSize)
    const dtype = dtypes[label]
    const buffer = allocate(label, matrixBytes(vocabSize, hiddenSize, dtype))
    targets.push({ name, rows: vocabSize, k: hiddenSize, dtype, buffer, row: 0 })
    return buffer
  }
  const embedding = outer('embedding', embeddingName)
  const head = tied ? embedding : outer('head', names.head)

  const vectors = new VectorLoader(checkpoint)
  const layerVectors = Array.from({ length: config.layers }, (_, i) =>
    addLayerVectors(vectors, config, names.layer(i, config)),
  )
  const finalNorm = vectors.add([[names.finalNorm, hiddenSize]])

  const layers = Array.from({ length: config.layers }, (_, i) => layerTensors(config, names.layer(i, config)))
  for (const { name, rows, k } of layers.flat()) loader.check(name, rows, k)
  const known = new Set([embeddingName, ...layers.flat().map(({ name }) => name)])
  if (!tied) known.add(names.head)
  const foreign = [...(adapter?.keys() ?? [])].find((name) => !known.has(name))
  if (foreign !== undefined) {
    throw new SkipstoneError(
      'wrong-model',
      `The adapter changes ${foreign}, which this model does not have: it belongs to another model.`,
    )
  }

  const shapes = matrixShapes(config)
  const room =
    (options.gpuBudget ?? Number.POSITIVE_INFINITY) -
    targets.reduce((sum, { buffer }) => sum + buffer.size, vectors.arena.bytes)
  const stream = await streamFor({ gpu, loader, dtypes: dtypes.layers, shapes, layers, room })
  if (stream) owned.push(stream)
  const matrices = stream
    ? undefined
    : layers.map((tensors, i) => {
        const dtype = dtypes.layers[i] as Record<MatrixName, WeightDtype>
        const buffers = Object.fromEntries(
          MATRICES.map((m) => [m, allocate(`layer ${i} ${m}`, matrixBytes(shapes[m].rows, shapes[m].k, dtype[m]))]),
        ) as LayerMatrices
        for (const { matrix, ...tensor } of tensors)
          targets.push({ ...tensor, dtype: dtype[matrix], buffer: buffers[matrix] })
        return buffers
      })
  targets.push(...(stream?.begin() ?? []))

  const jobs = new Map(targets.map((target) => [target.name, (move: MoveOptions) => loader.load(target, move)]))
  for (const [name, read] of vectors.jobs) jobs.set(name, read)
  await inOrderOfFiles(checkpoint, jobs, options)
  const vectorBuffer = gpu.memory.upload('vectors', vectors.arena.concatenate())
  owned.push({ destroy: () => gpu.memory.destroy(vectorBuffer) })
  return {
    dtypes,
    embedding,
    head,
    vectors: vectorBuffer,
    finalNorm,
    stream,
    get layers() {
      return layerVectors.map((vectors, i) => ({
        ...vectors,
        ...(stream?.matrices(i) ?? (matrices?.[i] as LayerMatrices)),
      }))
    },
  }
}
/** A stream where the layers' matrices need more than `room`. @throws `bad-option` where `room` does not even hold its slots. */
async function streamFor(options: WeightStreamOptions): Promise<WeightStream | undefined> {
  const { room } = options
  const slots = slotBytes(options)
  if (layerBytes(options) <= room) return undefined
  if (slots <= room) {
    const { WeightStream } = await import('./weight-stream.js')
    return new WeightStream(options)
  }
  throw new SkipstoneError(
    'bad-option',
    `The gpuBudget is ${Math.ceil(slots - room)} bytes too small: embedding, head and one layer have to fit. Raise it, or choose a smaller dtype.`,
  )
}

/** Runs the jobs in the order of the files: each of their chunks is read once. */
async function inOrderOfFiles(
  checkpoint: Checkpoint,
  jobs: ReadonlyMap<string, (options: MoveOptions) => Promise<void>>,
  { signal, onProgress }: LoadWeightsOptions,
): Promise<void> {
  const entries = [...checkpoint.entries].filter(([name]) => jobs.has(name))
  const total = entries.reduce((sum, [, { start, end }]) => sum + end - start, 0)
  let loaded = 0
  const onBytes = (bytes: number) => {
    loaded += bytes
    onProgress?.(loaded, total)
  }
  for (const [name] of entries) await jobs.get(name)?.({ signal, onBytes })
}
