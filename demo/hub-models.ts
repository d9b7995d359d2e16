/** Small checkpoints of the public hub that run as they are, by name; what they are for people. */
export const HUB_MODELS: readonly { readonly name: string; readonly label: string; readonly chat: boolean }[] = [
  { name: 'HuggingFaceTB/SmolLM2-135M-Instruct', label: 'SmolLM2 135M Instruct', chat: true },
  { name: 'HuggingFaceTB/SmolLM2-360M-Instruct', label: 'SmolLM2 360M Instruct', chat: true },
  { name: 'Qwen/Qwen2.5-0.5B-Instruct', label: 'Qwen2.5 0.5B Instruct', chat: true },
  { name: 'Qwen/Qwen3-0.6B', label: 'Qwen3 0.6B', chat: true },
  { name: 'TinyLlama/TinyLlama-1.1B-Chat-v1.0', label: 'TinyLlama 1.1B Chat', chat: true },
  { name: 'HuggingFaceTB/SmolLM2-135M', label: 'SmolLM2 135M (base)', chat: false },
]
