import { optionalBoolean } from '../../formats/json.js'
import { HF_TENSOR_NAMES } from './hf-names.js'
import { qwenSlidingWindow } from './qwen-window.js'
import type { Architecture } from './types.js'

/** Qwen 3, the dense models: Q and K are normalised per head; heads · headDim need not equal the hidden size. */
export const qwen3: Architecture = {
  id: 'qwen3',
  className: 'Qwen3ForCausalLM',
  features(config) {
    const attentionBias = optionalBoolean(config, 'attention_bias', 'config.json') ?? false
    return { qkvBias: attentionBias, outputBias: attentionBias, mlpBias: false, qkNorm: true }
  },
  slidingWindow: qwenSlidingWindow,
  tensors: HF_TENSOR_NAMES,
}
