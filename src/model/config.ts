import { SkipstoneError } from '../errors.js'
import {
  type JsonObject,
  jsonObject,
  optional,
  optionalBoolean,
  optionalInteger,
  optionalNumber,
  optionalString,
  required,
  show,
} from '../formats/json.js'
import { type Architecture, type ArchitectureId, findArchitecture, type LayerFeatures } from './architectures/index.js'
import type { RopeConfig } from './rope.js'
import { parseRopeConfig } from './rope-config.js'
import { tokenIds } from './token-ids.js'

/** The shape of a model: what a `config.json` says, checked, with defaults filled in. */
export interface ModelConfig extends LayerFeatures {
  readonly architecture: ArchitectureId
  readonly hiddenSize: number
  readonly intermediateSize: number
  readonly layers: number
  /** Query heads; a multiple of `kvHeads`. */
  readonly heads: number
  readonly kvHeads: number
  /** Even. `heads · headDim` may differ from `hiddenSize`. */
  readonly headDim: number
  readonly vocabSize: number
  /** The longest sequence that the model was made for, in tokens. */
  readonly contextLength: number
  readonly rmsNormEps: number
  readonly rope: RopeConfig
  /** Whether the output head is the embedding matrix. */
  readonly tiedEmbeddings: boolean
  readonly bosTokenId: number | undefined
  readonly eosTokenIds: readonly number[]
  /** The dtype that the weights were saved in, as the file spells it. */
  readonly torchDtype: string | undefined
}

const WHAT = 'config.json'

/** No dense model comes near these; they keep a damaged number from costing hours or gigabytes further on. */
const MAX_LAYERS = 1024
const MAX_SIZE = 2 ** 24

/** Settings that change the computation in ways Skipstone does not implement; each is refused where it is set at all. */
const REFUSED_KEYS = {
  quantization_config:
    'weights that are stored quantised; use the unquantised checkpoint, Skipstone quantises while loading',
  num_experts: 'mixture of experts; use a dense model',
  num_local_experts: 'mixture of experts; use a dense model',
  n_routed_experts: 'mixture of experts; use a dense model',
  no_rope_layers: 'layers without RoPE; use a model with RoPE in every layer',
} as const

/**
 * A parsed `config.json`. `bad-file` where a size is missing, not a positive integer, or contradicts another;
 * `unsupported`, by name, for architectures and settings that Skipstone cannot run as they are meant.
 */
export function parseModelConfig(json: unknown): ModelConfig {
  const config = jsonObject(json, WHAT)
  const architecture = findArchitecture(config)
  refuseVariants(config)

  const count = (key: string, max = MAX_SIZE): number => required(optionalInteger(config, key, WHAT, 1, max), key, WHAT)
  const hiddenSize = count('hidden_size')
  const contextLength = count('max_position_embeddings')
  refuseWindows(config, architecture, contextLength)

  return {
    architecture: architecture.id,
    hiddenSize,
    intermediateSize: count('intermediate_size'),
    layers: count('num_hidden_layers', MAX_LAYERS),
    ...parseHeads(config, hiddenSize, count('num_attention_heads')),
    vocabSize: count('vocab_size'),
    contextLength,
    rmsNormEps: optionalNumber(config, 'rms_norm_eps', WHAT, 0, 1) ?? 1e-6,
    rope: parseRopeConfig(config, WHAT),
    tiedEmbeddings: optionalBoolean(config, 'tie_word_embeddings', WHAT) ?? false,
    ...architecture.features(config),
    bosTokenId: optionalInteger(config, 'bos_token_id', WHAT),
    eosTokenIds: tokenIds(config, 'eos_token_id', WHAT),
    torchDtype: optionalString(config, 'torch_dtype', WHAT) ?? optionalString(config, 'dtype', WHAT),
  }
}

function parseHeads(
  config: JsonObject,
  hiddenSize: number,
  heads: number,
): Pick<ModelConfig, 'heads' | 'kvHeads' | 'headDim'> {
  const kvHeads = optionalInteger(config, 'num_key_value_heads', WHAT, 1, MAX_SIZE) ?? heads
  if (heads % kvHeads !== 0) {
    throw bad(`${heads} attention heads cannot share ${kvHeads} key-value heads evenly`)
  }
  const headDim = optionalInteger(config, 'head_dim', WHAT, 1, MAX_SIZE) ?? hiddenSize / heads
  if (!Number.isInteger(headDim)) throw bad(`hidden_size ${hiddenSize} is not a multiple of ${heads} attention heads`)
  if (headDim % 2 !== 0) throw bad(`the head size ${headDim} is odd, so RoPE cannot pair its components`)
  return { heads, kvHeads, headDim }
}

function refuseVariants(config: JsonObject): void {
  for (const [key, reason] of Object.entries(REFUSED_KEYS)) {
    if (optional(config, key) !== undefined) {
      throw new SkipstoneError('unsupported', `"${key}" in ${WHAT} means ${reason}.`)
    }
  }
  const activation = optional(config, 'hidden_act') ?? 'silu'
  if (activation !== 'silu' && activation !== 'swish') {
    throw new SkipstoneError(
      'unsupported',
      `"hidden_act" in ${WHAT} is ${show(activation)}; Skipstone computes silu only. Use a model with a SwiGLU MLP.`,
    )
  }
}

/** Attention here always sees the whole context, which equals a window exactly where the window is at least as long. */
function refuseWindows(config: JsonObject, architecture: Architecture, contextLength: number): void {
  const window = architecture.slidingWindow(config) ?? Number.POSITIVE_INFINITY
  if (window < contextLength) {
    throw new SkipstoneError(
      'unsupported',
      `"sliding_window" in ${WHAT} is ${window} tokens of a context of ${contextLength}; use a model with full attention.`,
    )
  }
  const types = optional(config, 'layer_types') ?? []
  const other = Array.isArray(types) ? types.find((type) => type !== 'full_attention') : types
  if (other === undefined || (other === 'sliding_attention' && Number.isFinite(window))) return
  throw new SkipstoneError(
    'unsupported',
    `"layer_types" in ${WHAT} has ${show(other)}; use a model whose layers all have full attention.`,
  )
}

function bad(message: string): SkipstoneError {
  return new SkipstoneError('bad-file', `${WHAT} contradicts itself: ${message}; restore the original file.`)
}
