import type { JsonObject } from '../../formats/json.js'

export type ArchitectureId = 'llama' | 'mistral' | 'qwen2' | 'qwen3'

/** The optional tensors of a decoder layer, as far as a model has them. */
export interface LayerFeatures {
  /** Biases of the Q, K and V projections. */
  readonly qkvBias: boolean
  /** Bias of the attention's output projection. */
  readonly outputBias: boolean
  /** Biases of gate, up and down. */
  readonly mlpBias: boolean
  /** RMSNorm of every head of Q and K, `[headDim]`, before RoPE. */
  readonly qkNorm: boolean
}

/** Names of one layer's tensors; an optional one is there exactly where the model has it. Linear weights are `[out, in]`. */
export interface LayerTensorNames {
  readonly inputNorm: string
  readonly postNorm: string
  readonly q: string
  readonly k: string
  readonly v: string
  readonly o: string
  readonly gate: string
  readonly up: string
  readonly down: string
  readonly qBias?: string
  readonly kBias?: string
  readonly vBias?: string
  readonly oBias?: string
  readonly gateBias?: string
  readonly upBias?: string
  readonly downBias?: string
  readonly qNorm?: string
  readonly kNorm?: string
}

/** The tensor names of a family of checkpoints, after `normaliseTensorName`. */
export interface TensorNames {
  /** `[vocab, hidden]` */
  readonly embedding: string
  readonly finalNorm: string
  /** `[vocab, hidden]`; may be absent where embeddings are tied. */
  readonly head: string
  layer(layer: number, features: LayerFeatures): LayerTensorNames
}

/** Everything in which one supported architecture differs from another. Functions read a parsed `config.json`. */
export interface Architecture {
  /** Other `model_type`s of the same model, with routers beside it. */
  readonly aliases?: readonly string[]
  /** Also the `model_type` of its configurations. */
  readonly id: ArchitectureId
  /** The entry of `architectures` in its configurations. */
  readonly className: string
  features(config: JsonObject): LayerFeatures
  /** The attention window in tokens, or undefined where every layer sees the whole context. */
  slidingWindow(config: JsonObject): number | undefined
  readonly tensors: TensorNames
}
