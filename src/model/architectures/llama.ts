import { optionalBoolean } from '../../formats/json.js'
import { HF_TENSOR_NAMES } from './hf-names.js'
import type { Architecture } from './types.js'

/** Llama 1 to 3.2, TinyLlama, SmolLM and SmolLM2. */
export const llama: Architecture = {
  id: 'llama',
  aliases: ['llama_dlo_exattn', 'ddllama'],
  className: 'LlamaForCausalLM',
  features(config) {
    const attentionBias = optionalBoolean(config, 'attention_bias', 'config.json') ?? false
    const mlpBias = optionalBoolean(config, 'mlp_bias', 'config.json') ?? false
    return { qkvBias: attentionBias, outputBias: attentionBias, mlpBias, qkNorm: false }
  },
  slidingWindow: () => undefined,
  tensors: HF_TENSOR_NAMES,
}
