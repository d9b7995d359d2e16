import { SkipstoneError } from '../../errors.js'
import type { ModelConfig } from '../../model/config.js'
import { type EmbedInput, type EmbedOptions, idsOf } from '../embed-request.js'
import type { PolicyRequest } from '../policies.js'
import type { ModelText } from '../text-api.js'
import { bad } from './bad-request.js'
import type { CallOptions } from './completions.js'

export interface EmbeddingRequest {
  input: EmbedInput
  model?: string
  /** `base64`: the bytes of the float32s, little-endian. Default `float`. */
  encoding_format?: 'float' | 'base64' | null
  /** Vectors have the model's own hidden_size; another number is refused. */
  dimensions?: number | null
  /** What to skip; default: nothing. */
  policy?: PolicyRequest | string
}

export interface EmbeddingList {
  object: 'list'
  model: string
  data: { object: 'embedding'; index: number; embedding: number[] | string }[]
  usage: { prompt_tokens: number; total_tokens: number }
}

interface EmbeddingHost {
  readonly config: Pick<ModelConfig, 'hiddenSize'>
  readonly text: ModelText
  embed(input: readonly (readonly number[])[], options?: EmbedOptions): Promise<Float32Array[]>
}

/** `model.embeddings`: OpenAI's embeddings on a loaded model. */
export class Embeddings {
  constructor(private readonly host: EmbeddingHost) {}

  /** Mean states of length 1. @throws `bad-option`, `unsupported` (other `dimensions`), and as `Model.embed`. */
  async create(request: EmbeddingRequest, { signal }: CallOptions = {}): Promise<EmbeddingList> {
    const { input, encoding_format: format = 'float', policy, model = 'skipstone' } = request
    const isText = (one: unknown) => typeof one === 'string' || isIds(one)
    if (!isText(input) && !(Array.isArray(input) && input.every(isText))) {
      throw bad('input is a text, token ids, or a list of those')
    }
    if (format !== null && format !== 'float' && format !== 'base64') throw bad('encoding_format is float or base64')
    checkDimensions(request.dimensions ?? this.host.config.hiddenSize, this.host.config.hiddenSize)
    const texts = await idsOf(input, this.host.text, Number.POSITIVE_INFINITY)
    const options = { pooling: 'mean', ...(policy !== undefined && { policy }), ...(signal && { signal }) } as const
    const vectors = await this.host.embed(texts, options)
    const tokens = texts.reduce((sum, ids) => sum + ids.length, 0)
    return {
      object: 'list',
      model,
      data: vectors.map((vector, index) => ({
        object: 'embedding',
        index,
        embedding: format === 'base64' ? base64(vector) : [...vector],
      })),
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    }
  }
}

function checkDimensions(wanted: unknown, hiddenSize: number): void {
  if (wanted === hiddenSize) return
  throw new SkipstoneError(
    'unsupported',
    `This model's embeddings have ${hiddenSize} dimensions, not ${String(wanted)}: leave dimensions out.`,
  )
}

function isIds(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0 && value.every((id) => typeof id === 'number')
}

function base64(vector: Float32Array): string {
  const bytes = new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength)
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))
}
