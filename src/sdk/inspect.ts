import type { WeightDtype } from '../../shaders/snippets/weights.js'
import { ARCHITECTURES } from '../model/architectures/index.js'
import type { ModelConfig } from '../model/config.js'
import { headDtypeOf } from '../model/matrix-dtypes.js'
import { matrixBytes } from '../model/matrix-loader.js'
import { type ModelFiles, openModelFiles } from './model-files.js'
import type { ModelSource, SourceOptions } from './options.js'
import { loadRouters, ROUTER_FILE } from './routers.js'
import { directSource } from './sources.js'

/** What a model is and needs, as its headers say. */
export interface ModelSummary {
  readonly architecture: string
  readonly config: ModelConfig
  readonly parameters: number
  /** Bytes of tensor data in the files: what a load downloads. */
  readonly bytes: number
  readonly tensors: readonly { name: string; dtype: string; shape: readonly number[]; bytes: number }[]
  readonly routers: { readonly kind: 'linear' | 'two-layer'; readonly parameters: number } | null
  /** Bytes on the GPU: weights per dtype, and the cache per 1,000 positions. */
  readonly memory: Readonly<Record<(typeof DTYPES)[number] | 'cachePerThousandPositions', number>>
  /** Per dtype, whether this device takes the largest buffer; null where no adapter was found. How much memory is free, none tells. */
  readonly fits: Readonly<Record<(typeof DTYPES)[number], boolean>> | null
}

export interface InspectOptions extends Pick<SourceOptions, 'hub' | 'file'> {
  /** As for `loadModel`. */
  readonly routers?: ModelSource
  /** Where adapters come from. Default `navigator.gpu`. */
  readonly gpu?: GPU
  readonly signal?: AbortSignal
}

const DTYPES = ['f32', 'f16', 'q8', 'q4'] as const

/** See inspect-model.ts. */
export async function summarise(source: ModelSource, options: InspectOptions = {}): Promise<ModelSummary> {
  const opened = await openModelFiles(directSource(source, options), options.signal)
  const { config, checkpoint } = opened
  const tensors = [...checkpoint.entries.values()].map(({ name, dtype, shape, start, end }) => ({
    name,
    dtype,
    shape,
    bytes: end - start,
  }))
  const count = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1)
  const perDtype = <T>(value: (dtype: WeightDtype) => T) =>
    Object.fromEntries(DTYPES.map((dtype) => [dtype, value(dtype)])) as Record<(typeof DTYPES)[number], T>
  const limits = await adapterLimits(options.gpu)
  return {
    architecture: config.architecture,
    config,
    parameters: tensors.reduce((sum, { shape }) => sum + count(shape), 0),
    bytes: tensors.reduce((sum, { bytes }) => sum + bytes, 0),
    tensors,
    routers: await routerSummary(opened, options),
    memory: {
      ...perDtype((dtype) => weightBytes(config, tensors, dtype)),
      cachePerThousandPositions: 1000 * config.layers * 2 * config.kvHeads * config.headDim * 4,
    },
    fits: limits === null ? null : perDtype((dtype) => largestBuffer(config, dtype) <= limits),
  }
}

function weightBytes(config: ModelConfig, tensors: ModelSummary['tensors'], dtype: WeightDtype): number {
  const { embedding, head } = ARCHITECTURES[config.architecture].tensors
  return tensors.reduce((sum, { name, shape }) => {
    const [n = 0, k] = shape
    if (k === undefined) return sum + 4 * n
    return sum + matrixBytes(n, k, name === embedding || name === head ? headDtypeOf(dtype) : dtype)
  }, 0)
}

/** Bytes of the largest buffer that a load makes: the embedding, or gate and up of a layer together. */
function largestBuffer({ vocabSize, hiddenSize, intermediateSize }: ModelConfig, dtype: WeightDtype): number {
  return Math.max(
    matrixBytes(vocabSize, hiddenSize, headDtypeOf(dtype)),
    matrixBytes(2 * intermediateSize, hiddenSize, dtype),
  )
}

async function adapterLimits(gpu = globalThis.navigator?.gpu): Promise<number | null> {
  const adapter = await gpu?.requestAdapter({ powerPreference: 'high-performance' })
  return adapter ? Math.min(adapter.limits.maxBufferSize, adapter.limits.maxStorageBufferBindingSize) : null
}

async function routerSummary({ files, config }: ModelFiles, options: InspectOptions): Promise<ModelSummary['routers']> {
  const { routers: given, signal } = options
  if (given === undefined && !(await files.has(ROUTER_FILE, signal))) return null
  const source = given === undefined ? files : directSource(given, options)
  const routers = await loadRouters(source, config, signal)
  if (!routers) return null
  const d = config.hiddenSize
  const each = routers.kind === 'linear' ? 2 * d + 2 : routers.width * (d + 1) + 2 * routers.width + 2
  return { kind: routers.kind, parameters: 2 * config.layers * each }
}
