import { type ReferenceConfig, ReferenceModel, type ReferenceTensors } from './model.js'
import { plainFrequencies, ropeRow } from './rope-rows.js'

/** The fields of a Hugging Face config.json that the reference needs. */
export interface HubConfig {
  model_type: string
  hidden_size: number
  intermediate_size: number
  num_hidden_layers: number
  num_attention_heads: number
  num_key_value_heads: number
  head_dim?: number
  vocab_size: number
  rms_norm_eps: number
  rope_theta: number
  tie_word_embeddings: boolean
  attention_bias?: boolean
  mlp_bias?: boolean
}

/** The architecture as config.json says it. */
export function referenceConfig(hub: HubConfig): ReferenceConfig {
  const attentionBias = hub.attention_bias ?? false
  return {
    hiddenSize: hub.hidden_size,
    intermediateSize: hub.intermediate_size,
    layers: hub.num_hidden_layers,
    heads: hub.num_attention_heads,
    kvHeads: hub.num_key_value_heads,
    headDim: hub.head_dim ?? hub.hidden_size / hub.num_attention_heads,
    vocabSize: hub.vocab_size,
    rmsNormEps: hub.rms_norm_eps,
    tiedEmbeddings: hub.tie_word_embeddings,
    qkvBias: attentionBias || hub.model_type === 'qwen2', // Qwen2 has these without saying so
    outputBias: attentionBias,
    mlpBias: hub.mlp_bias ?? false,
    qkNorm: hub.model_type === 'qwen3',
  }
}

/** A reference model whose RoPE is not scaled. */
export function referenceModel(hub: HubConfig, tensors: ReferenceTensors): ReferenceModel {
  const config = referenceConfig(hub)
  return new ReferenceModel(config, tensors, ropeRow(plainFrequencies(hub.rope_theta, config.headDim)))
}
