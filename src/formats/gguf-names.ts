import { SkipstoneError } from '../errors.js'

/**
 * The tensor with which llama.cpp's converter expresses Llama 3's RoPE scaling: F32 `[headDim / 2]`, by which the angle of each
 * pair is divided. It has no Hugging Face counterpart: there the numbers stand in config.json (see `ggufConfig`).
 */
export const ROPE_FACTORS = 'rope_freqs.weight'

const OUTER: ReadonlyMap<string, string> = new Map([
  ['token_embd.weight', 'model.embed_tokens.weight'],
  ['output_norm.weight', 'model.norm.weight'],
  ['output.weight', 'lm_head.weight'],
  [ROPE_FACTORS, ROPE_FACTORS],
])

const LAYER: ReadonlyMap<string, string> = new Map([
  ['attn_norm.weight', 'input_layernorm.weight'],
  ['ffn_norm.weight', 'post_attention_layernorm.weight'],
  ['attn_q_norm.weight', 'self_attn.q_norm.weight'],
  ['attn_k_norm.weight', 'self_attn.k_norm.weight'],
  ...linear('attn_q', 'self_attn.q_proj'),
  ...linear('attn_k', 'self_attn.k_proj'),
  ...linear('attn_v', 'self_attn.v_proj'),
  ...linear('attn_output', 'self_attn.o_proj'),
  ...linear('ffn_gate', 'mlp.gate_proj'),
  ...linear('ffn_up', 'mlp.up_proj'),
  ...linear('ffn_down', 'mlp.down_proj'),
])

function linear(from: string, to: string): [string, string][] {
  return ['weight', 'bias'].map((kind) => [`${from}.${kind}`, `${to}.${kind}`])
}

/**
 * The Hugging Face name of a tensor of a GGUF file of the Llama family; `rope_freqs.weight` keeps its name. Names from
 * `gguf-py/gguf/constants.py` of llama.cpp. `unsupported` for every other: a tensor that is left out would change the model.
 */
export function ggufTensorName(name: string): string {
  const outer = OUTER.get(name)
  if (outer !== undefined) return outer
  const [, layer, part = ''] = /^blk\.(0|[1-9]\d*)\.(.+)$/.exec(name) ?? []
  const inner = LAYER.get(part)
  if (inner !== undefined) return `model.layers.${layer}.${inner}`
  throw new SkipstoneError(
    'unsupported',
    `The GGUF file has a tensor "${name}", which is no part of a plain Llama-style decoder. Use another model, or its Hugging Face files.`,
  )
}
