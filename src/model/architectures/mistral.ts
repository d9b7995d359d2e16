import { optionalInteger } from '../../formats/json.js'
import { HF_TENSOR_NAMES } from './hf-names.js'
import type { Architecture } from './types.js'

/** What transformers assumes where the file does not mention a window; null in the file means none. */
const DEFAULT_WINDOW = 4096

/** Mistral 7B and its relatives of `model_type` mistral. */
export const mistral: Architecture = {
  id: 'mistral',
  className: 'MistralForCausalLM',
  features: () => ({ qkvBias: false, outputBias: false, mlpBias: false, qkNorm: false }),
  slidingWindow(config) {
    if (!Object.hasOwn(config, 'sliding_window')) return DEFAULT_WINDOW
    return optionalInteger(config, 'sliding_window', 'config.json', 1)
  },
  tensors: HF_TENSOR_NAMES,
}
