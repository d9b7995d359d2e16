import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { normaliseTensorName } from '../../src/formats/tensor-names.js'

describe('normaliseTensorName', () => {
  it.each([
    ['model.layers.3.self_attn.q_proj.weight', 'model.layers.3.self_attn.q_proj.weight'],
    ['model.embed_tokens.weight', 'model.embed_tokens.weight'],
    ['lm_head.weight', 'lm_head.weight'],
    ['base_model.model.lm_head.weight', 'lm_head.weight'],
    ['base_model.model.model.norm.weight', 'model.norm.weight'],
    ['model.layers.10.block.mlp.gate_proj.weight', 'model.layers.10.mlp.gate_proj.weight'],
    [
      'base_model.model.model.layers.0.block.self_attn.q_proj.base_layer.weight',
      'model.layers.0.self_attn.q_proj.weight',
    ],
    ['model.layers.0.self_attn.q_proj.base_layer.bias', 'model.layers.0.self_attn.q_proj.bias'],
    [
      'base_model.model.model.layers.1.router_mlp.weight_predictor.bias',
      'model.layers.1.router_mlp.weight_predictor.bias',
    ],
    ['layers.0.input_layernorm.weight', 'model.layers.0.input_layernorm.weight'],
    ['layers.0.block.mlp.up_proj.weight', 'model.layers.0.mlp.up_proj.weight'],
    ['embed_tokens.weight', 'model.embed_tokens.weight'],
    ['norm.weight', 'model.norm.weight'],
    ['routers.3.weight', 'model.routers.3.weight'],
    ['base_model.model.model.layers.2.gate_mlp.weight', 'model.layers.2.gate_mlp.weight'],
    ['blocks.0.block.weight', 'blocks.0.block.weight'],
  ])('%s', (name, expected) => {
    expect(normaliseTensorName(name)).toBe(expected)
  })

  it('changes nothing when applied again', () => {
    const pieces = fc.tuple(
      fc.constantFrom('', 'base_model.model.', 'base_model.model.base_model.model.'),
      fc.constantFrom('', 'model.'),
      fc.constantFrom('', 'layers.0.', 'layers.12.block.'),
      fc.constantFrom('norm', 'embed_tokens', 'mlp.up_proj', 'lm_head'),
      fc.constantFrom('', '.base_layer', '.base_layer.base_layer'),
      fc.constantFrom('.weight', '.bias'),
    )
    fc.assert(
      fc.property(pieces, (parts) => {
        const once = normaliseTensorName(parts.join(''))
        expect(once).not.toMatch(/base_model|base_layer|\.block\./)
        expect(normaliseTensorName(once)).toBe(once)
      }),
    )
  })
})
