import { SkipstoneError } from '../errors.js'
import type { GgufHeader, GgufValue } from '../formats/gguf.js'
import { ROPE_FACTORS } from '../formats/gguf-names.js'
import {
  type JsonObject,
  optional,
  optionalInteger,
  optionalNumber,
  optionalString,
  required,
  show,
} from '../formats/json.js'
import { ARCHITECTURES, type ArchitectureId } from './architectures/index.js'
import { llama3Factors } from './llama3-factors.js'

const WHAT = 'the GGUF metadata'

/** `general.architecture` to `model_type`. Mistral's files say llama, since the computation is the same. */
const MODEL_TYPES: ReadonlyMap<string, ArchitectureId> = new Map([
  ['llama', 'llama'],
  ['qwen2', 'qwen2'],
  ['qwen3', 'qwen3'],
])

/** Settings that would change the computation, with the values at which they do not. */
const NEUTRAL: Readonly<Record<string, readonly (number | boolean)[]>> = {
  expert_count: [0],
  use_parallel_residual: [false],
  embedding_scale: [0, 1],
  residual_scale: [0, 1],
  logit_scale: [0, 1],
  'attention.causal': [true],
  'attention.clamp_kqv': [0],
  'attention.max_alibi_bias': [0],
  'attention.scale': [0],
  attn_logit_softcapping: [0],
  final_logit_softcapping: [0],
}

/** What writers put where there is no such token: −1, mostly as a u32. llama.cpp reads it as if nothing were there. */
const NO_TOKEN: readonly number[] = [-1, 0xffff_ffff]

/** BOS and EOS of SentencePiece vocabularies whose file does not name them, as in llama.cpp. */
const SPM_BOS = 1
const SPM_EOS = 2

/**
 * The config.json that the metadata of a GGUF file stands for, in the shape that `parseModelConfig` reads. `ropeFactors` are the
 * values of the tensor `rope_freqs.weight`, required where the file has it.
 *
 * `unsupported`, by name, for architectures, RoPE scalings and settings that Skipstone cannot run; `bad-file` where something is
 * missing or contradicts itself. Keys: docs/gguf.md of github.com/ggml-org/ggml.
 */
export function ggufConfig(header: GgufHeader, ropeFactors?: Float32Array): JsonObject {
  const metadata = plainMetadata(header.metadata)
  const architecture = required(optionalString(metadata, 'general.architecture', WHAT), 'general.architecture', WHAT)
  const modelType = MODEL_TYPES.get(architecture)
  if (!modelType) {
    throw unsupported(`The architecture ${show(architecture)}`, `use a GGUF of ${[...MODEL_TYPES.keys()].join(', ')}`)
  }

  const fields = architectureFields(metadata, `${architecture}.`)
  refuseVariants(fields)
  const count = (key: string): number | undefined => optionalInteger(fields, key, WHAT, 1)
  const needed = (key: string): number => required(count(key), key, WHAT)
  const hiddenSize = needed('embedding_length')
  const heads = needed('attention.head_count')
  const layers = needed('block_count')
  const context = needed('context_length')
  const headDim = count('attention.key_length') ?? hiddenSize / heads
  const vocabSize = vocabularySize(header)
  refuseShapes(fields, headDim, context)
  const eos = endTokens(metadata, vocabSize)

  return {
    architectures: [ARCHITECTURES[modelType].className],
    model_type: modelType,
    hidden_act: 'silu',
    hidden_size: hiddenSize,
    intermediate_size: needed('feed_forward_length'),
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: count('attention.head_count_kv') ?? heads,
    head_dim: headDim,
    vocab_size: vocabSize,
    max_position_embeddings: context,
    rms_norm_eps: shortest(required(optionalNumber(fields, EPSILON, WHAT), EPSILON, WHAT)),
    ...ropeSettings(header, fields, headDim, ropeFactors),
    ...biases(header, modelType, layers),
    tie_word_embeddings: !header.entries.has('output.weight'),
    bos_token_id: tokenId(metadata, 'bos_token_id', vocabSize) ?? (isSpm(metadata) ? SPM_BOS : null),
    eos_token_id: eos.length > 1 ? eos : (eos[0] ?? null),
    torch_dtype: TORCH_DTYPES.get(header.entries.get('token_embd.weight')?.dtype ?? '') ?? null,
  }
}

const EPSILON = 'attention.layer_norm_rms_epsilon'

const TORCH_DTYPES: ReadonlyMap<string, string> = new Map([
  ['F32', 'float32'],
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
])

/** The metadata as JSON could hold it. The tokeniser's lists are left out: they are long and not needed here. */
function plainMetadata(metadata: ReadonlyMap<string, GgufValue>): JsonObject {
  const kept = [...metadata].filter(([key, value]) => typeof value !== 'object' || !key.startsWith('tokenizer.'))
  return Object.fromEntries(kept.map(([key, value]) => [key, plain(value)]))
}

/** One number for a list of equal ones, as some files give settings per layer; lists of anything but numbers are emptied. */
function plain(value: GgufValue): unknown {
  if (typeof value === 'bigint') return Number(value)
  if (typeof value !== 'object') return value
  if (!ArrayBuffer.isView(value)) return []
  const numbers = Array.from<number | bigint, number>(value, Number)
  return numbers.length > 0 && numbers.every((item) => item === numbers[0]) ? numbers[0] : numbers
}

/** The settings of one architecture, without its prefix. */
function architectureFields(metadata: JsonObject, prefix: string): JsonObject {
  const own = Object.entries(metadata).filter(([key]) => key.startsWith(prefix))
  for (const [key, value] of own) {
    if (Array.isArray(value) && typeof value[0] === 'number') {
      throw unsupported(`"${key}" that differs between layers`, 'use a model whose layers are alike')
    }
  }
  return Object.fromEntries(own.map(([key, value]) => [key.slice(prefix.length), value]))
}

function refuseVariants(fields: JsonObject): void {
  for (const [key, neutral] of Object.entries(NEUTRAL)) {
    const value = optional(fields, key)
    if (value !== undefined && !neutral.some((plain) => plain === value)) {
      throw unsupported(`"${key}" of ${show(value)}`, 'use a plain, dense Llama-style model')
    }
  }
}

function refuseShapes(fields: JsonObject, headDim: number, context: number): void {
  for (const key of ['rope.dimension_count', 'attention.value_length']) {
    const size = optionalInteger(fields, key, WHAT) ?? headDim
    if (size !== headDim) {
      throw unsupported(
        `"${key}" of ${size} in heads of ${headDim}`,
        'use a model whose heads are alike and wholly rotated',
      )
    }
  }
  const window = optionalInteger(fields, 'attention.sliding_window', WHAT) ?? 0
  if (window > 0 && window < context) {
    throw unsupported(
      `An attention window of ${window} tokens in a context of ${context}`,
      'use one with full attention',
    )
  }
}

function vocabularySize({ metadata, entries }: GgufHeader): number {
  const [rows] = entries.get('token_embd.weight')?.shape ?? []
  const tokens = metadata.get('tokenizer.ggml.tokens')
  const size = rows ?? (Array.isArray(tokens) ? tokens.length : undefined)
  return required(size, 'tokenizer.ggml.tokens', WHAT)
}

function ropeSettings(
  header: GgufHeader,
  fields: JsonObject,
  headDim: number,
  ropeFactors: Float32Array | undefined,
): JsonObject {
  const theta = optionalNumber(fields, 'rope.freq_base', WHAT, Number.MIN_VALUE) ?? 10_000
  const linear = linearFactor(fields)
  const settings = {
    rope_theta: shortest(theta),
    rope_scaling: linear === 1 ? null : { rope_type: 'linear', factor: linear },
  }
  if (!header.entries.has(ROPE_FACTORS)) return settings

  if (!ropeFactors) throw unsupported(`The tensor ${ROPE_FACTORS}, unread,`, 'pass its values')
  if (ropeFactors.length !== headDim / 2) {
    throw bad(`${ROPE_FACTORS} has ${ropeFactors.length} values for heads of ${headDim}`)
  }
  if (ropeFactors.every((factor) => factor === 1)) return settings
  const scaling = llama3Factors(ropeFactors, settings.rope_theta)
  if (!scaling || linear !== 1) {
    throw unsupported(
      `The RoPE scaling of ${ROPE_FACTORS}, which is not Llama 3's,`,
      'use a model with no, linear or llama3 scaling',
    )
  }
  return { ...settings, rope_scaling: scaling }
}

/** Positions are divided by it; 1 without linear scaling. Old files give it without a type, and older ones by another name. */
function linearFactor(fields: JsonObject): number {
  const type = optionalString(fields, 'rope.scaling.type', WHAT) ?? 'linear'
  if (type === 'none') return 1
  if (type !== 'linear')
    throw unsupported(`RoPE scaling of type ${show(type)}`, 'use a model with no, linear or llama3 scaling')
  const factor =
    optionalNumber(fields, 'rope.scaling.factor', WHAT, 0) ?? optionalNumber(fields, 'rope.scale_linear', WHAT, 0) ?? 1
  return factor === 0 ? 1 : shortest(factor) // llama.cpp reads 0 as unset
}

/** Which optional tensors the layers have, as config.json says it. `unsupported` where it cannot say so. */
function biases({ entries }: GgufHeader, modelType: ArchitectureId, layers: number): JsonObject {
  const parts = new Set<string>()
  for (const name of entries.keys()) {
    const [, layer, part] = /^blk\.(\d+)\.(.+)$/.exec(name) ?? []
    if (part === undefined) continue
    if (Number(layer) >= layers) throw bad(`there is a tensor "${name}", but "block_count" is ${layers}`)
    parts.add(part)
  }
  const any = (...names: string[]): boolean => names.some((name) => parts.has(name))
  const has = {
    qkvBias: any('attn_q.bias', 'attn_k.bias', 'attn_v.bias'),
    outputBias: any('attn_output.bias'),
    mlpBias: any('ffn_gate.bias', 'ffn_up.bias', 'ffn_down.bias'),
    qkNorm: any('attn_q_norm.weight', 'attn_k_norm.weight'),
  }
  const settings = { attention_bias: has.qkvBias, mlp_bias: has.mlpBias }
  const expected = ARCHITECTURES[modelType].features(settings)
  // A tensor that is missing is named when it is looked for; one too many would be passed over in silence.
  const surplus = Object.entries(has).find(([key, present]) => present && !expected[key as keyof typeof has])
  if (surplus) throw unsupported(`A ${modelType} model with tensors for "${surplus[0]}"`, 'use its Hugging Face files')
  // One setting of config.json stands for the biases of all four projections.
  if (expected.outputBias && !has.outputBias) {
    throw unsupported(`A ${modelType} model with biases on Q, K and V alone`, 'use its Hugging Face files')
  }
  return settings
}

function isSpm(metadata: JsonObject): boolean {
  return metadata['tokenizer.ggml.model'] === 'llama'
}

function tokenId(metadata: JsonObject, name: string, vocabSize: number): number | undefined {
  const key = `tokenizer.ggml.${name}`
  const id = optionalInteger(metadata, key, WHAT, -1)
  if (id === undefined || NO_TOKEN.includes(id)) return undefined
  if (id >= vocabSize) throw bad(`"${key}" is ${id} in a vocabulary of ${vocabSize} tokens`)
  return id
}

/** End of text, of turn and of message: each ends the model's answer. */
function endTokens(metadata: JsonObject, vocabSize: number): number[] {
  const eos = tokenId(metadata, 'eos_token_id', vocabSize) ?? (isSpm(metadata) ? SPM_EOS : undefined)
  const others = ['eot_token_id', 'eom_token_id'].map((name) => tokenId(metadata, name, vocabSize))
  return [...new Set([eos, ...others])].filter((id) => id !== undefined)
}

/** The shortest decimal number that an f32 stands for: 1e-5 rather than 0.000009999999747378752. */
function shortest(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const candidate = Number(value.toPrecision(digits))
    if (Math.fround(candidate) === value) return candidate
  }
  return value
}

function bad(message: string): SkipstoneError {
  return new SkipstoneError('bad-file', `The GGUF file contradicts itself: ${message}; fetch it again.`)
}

function unsupported(what: string, advice: string): SkipstoneError {
  return new SkipstoneError('unsupported', `${what} in the GGUF file is not supported; ${advice}.`)
}
