import { writeSafetensors } from '../../../src/formats/safetensors-writer.js'
import type { ModelConfig } from '../../../src/model/config.js'
import { f32Of, type PeerModel } from './weights.js'

/** `model.safetensors` of a model, in f32. */
export async function hubWeights(model: PeerModel): Promise<Uint8Array> {
  const tensors = new Map<string, { dtype: 'F32'; shape: readonly number[]; data: Uint8Array }>()
  for (const [name, { shape }] of model.checkpoint.entries) {
    const { buffer, byteOffset, byteLength } = await f32Of(model, name)
    tensors.set(name, { dtype: 'F32', shape, data: new Uint8Array(buffer, byteOffset, byteLength) })
  }
  return writeSafetensors(tensors)
}

/** `config.json` of a model, as Hugging Face has it. */
export function hubConfig(config: ModelConfig): Record<string, unknown> {
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_act: 'silu',
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.kvHeads,
    head_dim: config.headDim,
    vocab_size: config.vocabSize,
    max_position_embeddings: config.contextLength,
    rms_norm_eps: config.rmsNormEps,
    rope_theta: config.rope.theta,
    tie_word_embeddings: config.tiedEmbeddings,
    bos_token_id: 1,
    eos_token_id: 2,
    torch_dtype: 'float32',
  }
}
