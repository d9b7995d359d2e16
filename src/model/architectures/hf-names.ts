import type { TensorNames } from './types.js'

/** The names that Hugging Face gives the tensors of Llama and of every architecture modelled on it. */
export const HF_TENSOR_NAMES: TensorNames = {
  embedding: 'model.embed_tokens.weight',
  finalNorm: 'model.norm.weight',
  head: 'lm_head.weight',
  layer(layer, { qkvBias, outputBias, mlpBias, qkNorm }) {
    const prefix = `model.layers.${layer}`
    const attention = `${prefix}.self_attn`
    const mlp = `${prefix}.mlp`
    return {
      inputNorm: `${prefix}.input_layernorm.weight`,
      postNorm: `${prefix}.post_attention_layernorm.weight`,
      q: `${attention}.q_proj.weight`,
      k: `${attention}.k_proj.weight`,
      v: `${attention}.v_proj.weight`,
      o: `${attention}.o_proj.weight`,
      gate: `${mlp}.gate_proj.weight`,
      up: `${mlp}.up_proj.weight`,
      down: `${mlp}.down_proj.weight`,
      ...(qkvBias && {
        qBias: `${attention}.q_proj.bias`,
        kBias: `${attention}.k_proj.bias`,
        vBias: `${attention}.v_proj.bias`,
      }),
      ...(outputBias && { oBias: `${attention}.o_proj.bias` }),
      ...(mlpBias && {
        gateBias: `${mlp}.gate_proj.bias`,
        upBias: `${mlp}.up_proj.bias`,
        downBias: `${mlp}.down_proj.bias`,
      }),
      ...(qkNorm && { qNorm: `${attention}.q_norm.weight`, kNorm: `${attention}.k_norm.weight` }),
    }
  },
}
