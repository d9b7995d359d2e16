/**
 * The one spelling that the rest of Skipstone uses for a tensor (Hugging Face's, as in `model.layers.0.self_attn.q_proj.weight`),
 * from the spellings that are found in files:
 *
 * - a leading `base_model.model.` (PEFT) is dropped, more than one where adapters were stacked;
 * - a missing `model.` is added (files saved from the bare decoder: `layers.0.…`, `embed_tokens.weight`, `norm.weight`, `routers.0.…`);
 * - `model.layers.0.block.…` (SkipGPT's wrapped layers) loses `.block`;
 * - `….base_layer.weight` (PEFT's wrapped linears) loses `.base_layer`.
 *
 * Names without any of these come back unchanged, so applying it twice changes nothing.
 */
export function normaliseTensorName(name: string): string {
  return name
    .replace(/^(?:base_model\.model\.)+/, '')
    .replace(/^(?=(?:layers|embed_tokens|norm|routers)\.)/, 'model.')
    .replace(/^(model\.layers\.\d+)\.block\./, '$1.')
    .replace(/(?:\.base_layer)+\.(weight|bias)$/, '.$1')
}
