import { HF_TENSOR_NAMES } from './hf-names.js'
import { qwenSlidingWindow } from './qwen-window.js'
import type { Architecture } from './types.js'

/** Qwen 2 and 2.5: always biases on Q, K and V, never on the output projection. */
export const qwen2: Architecture = {
  id: 'qwen2',
  className: 'Qwen2ForCausalLM',
  features: () => ({ qkvBias: true, outputBias: false, mlpBias: false, qkNorm: false }),
  slidingWindow: qwenSlidingWindow,
  tensors: HF_TENSOR_NAMES,
}
