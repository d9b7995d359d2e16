import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SkipstoneError } from '../../src/errors.js'
import { pairLora, parseAdapterConfig } from '../../src/formats/peft.js'
import { parseSafetensors } from '../../src/formats/safetensors.js'
import { hasShared, readShared, readSharedJson } from './shared-data.js'

const plain = { peft_type: 'LORA', r: 16, lora_alpha: 32 }
const q = 'model.layers.0.self_attn.q_proj'

describe('parseAdapterConfig', () => {
  it('scales by alpha over r, or over its root for rslora', () => {
    expect(parseAdapterConfig(plain).scaleFor(q)).toBe(2)
    expect(parseAdapterConfig({ ...plain, use_rslora: true }).scaleFor(q)).toBe(8)
  })

  it('follows patterns by the end of the module path, first match first', () => {
    const config = parseAdapterConfig({
      ...plain,
      rank_pattern: { 'layers.0.self_attn.q_proj': 4, q_proj: 8 },
      alpha_pattern: { v_proj: 64 },
    })
    expect(config.rankFor(q)).toBe(4)
    expect(config.scaleFor(q)).toBe(8)
    expect(config.rankFor('model.layers.1.self_attn.q_proj')).toBe(8)
    expect(config.rankFor('model.layers.1.self_attn.seq_proj')).toBe(16)
    expect(config.scaleFor('model.layers.1.self_attn.v_proj')).toBe(4)
  })

  it('accepts the fields that current peft writes for a plain adapter', () => {
    const config = {
      ...plain,
      ...{
        alpha_pattern: {},
        rank_pattern: {},
        bias: 'none',
        fan_in_fan_out: false,
        use_dora: false,
        use_rslora: false,
      },
      ...{
        modules_to_save: null,
        layer_replication: null,
        lora_bias: false,
        use_qalora: false,
        init_lora_weights: true,
      },
      ...{ target_parameters: [], trainable_token_indices: null, lora_dropout: 0.1, target_modules: ['q_proj'] },
    }
    expect(parseAdapterConfig(config)).toMatchObject({ r: 16, alpha: 32, rankStabilised: false })
  })

  it.each([
    ['peft_type', 'IA3'],
    ['use_dora', true],
    ['bias', 'all'],
    ['modules_to_save', ['lm_head']],
    ['fan_in_fan_out', true],
    ['lora_bias', true],
    ['target_parameters', ['experts.gate']],
    ['layer_replication', [[0, 4]]],
    ['init_lora_weights', 'pissa'],
    ['rank_pattern', { '.*[qk]_proj': 4 }],
  ])('refuses %s by name', (key, value) => {
    const refusal = expect.objectContaining({ code: 'unsupported', message: expect.stringContaining(key) })
    expect(() => parseAdapterConfig({ ...plain, [key]: value })).toThrow(refusal)
  })

  it.each([
    ['r', undefined],
    ['lora_alpha', undefined],
    ['lora_alpha', null],
    ['peft_type', undefined],
    ['r', 0],
    ['r', 2.5],
    ['r', '16'],
    ['use_dora', 'yes'],
    ['alpha_pattern', { q_proj: 'x' }],
  ])('calls %s = %j a bad file', (key, value) => {
    expect(() => parseAdapterConfig({ ...plain, [key]: value })).toThrow(expect.objectContaining({ code: 'bad-file' }))
  })

  it('throws nothing but SkipstoneError', () => {
    const fields = fc.dictionary(
      fc.constantFrom('r', 'lora_alpha', 'bias', 'use_dora', 'rank_pattern', 'alpha_pattern', 'modules_to_save'),
      fc.jsonValue(),
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.jsonValue(),
          fields.map((extra) => ({ ...plain, ...extra })),
        ),
        (json) => {
          try {
            expect(parseAdapterConfig(json).scaleFor(q)).toBeTypeOf('number')
          } catch (error) {
            if (!(error instanceof SkipstoneError)) throw error
          }
        },
      ),
    )
  })
})

describe('pairLora', () => {
  it('pairs both spellings and normalises the base weight', () => {
    const names = [
      'base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight',
      'base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight',
      'base_model.model.model.layers.1.block.mlp.gate_proj.lora_B.default.weight',
      'base_model.model.model.layers.1.block.mlp.gate_proj.lora_A.default.weight',
      'base_model.model.model.layers.1.block.mlp.gate_proj.base_layer.weight',
    ]
    expect([...pairLora(names)]).toEqual([
      [`${q}.weight`, { a: names[0], b: names[1] }],
      ['model.layers.1.mlp.gate_proj.weight', { a: names[3], b: names[2] }],
    ])
  })

  const failing = (names: string[], code: string, part: string): void => {
    expect(() => pairLora(names)).toThrow(expect.objectContaining({ code, message: expect.stringContaining(part) }))
  }

  it('refuses half a pair, two adapters in one file, and no adapter', () => {
    failing([`${q}.lora_A.weight`], 'bad-file', 'without its lora_B')
    failing([`${q}.lora_B.weight`], 'bad-file', 'without its lora_A')
    failing([`${q}.lora_A.one.weight`, `${q}.lora_A.two.weight`], 'bad-file', 'twice')
    failing([`${q}.weight`], 'bad-file', 'no lora_A')
    failing([], 'bad-file', 'no lora_A')
  })

  it('refuses other LoRA tensors by name', () => {
    failing([`${q}.lora_magnitude_vector.weight`], 'unsupported', 'lora_magnitude_vector')
    failing([`${q}.lora_B.bias`], 'unsupported', 'lora_B.bias')
    failing(['model.embed_tokens.lora_embedding_A'], 'unsupported', 'lora_embedding_A')
  })
})

describe.skipIf(!hasShared)('a trained adapter', () => {
  it.each(['stories260k', 'tinystories-656k'])('of %s', (model) => {
    const folder = `models/${model}/skipgpt-25/lora`
    expect(parseAdapterConfig(readSharedJson(`${folder}/adapter_config.json`)).scaleFor(q)).toBe(2)
    const { entries } = parseSafetensors(readShared(`${folder}/adapter_model.safetensors`))
    const base = parseSafetensors(readShared(`models/${model}/model.safetensors`)).entries
    const pairs = pairLora(entries.keys())
    expect(pairs.size).toBe(entries.size / 2)
    for (const [weight, { a, b }] of pairs) {
      const [out, width] = base.get(weight)!.shape
      expect(entries.get(a)!.shape).toEqual([16, width])
      expect(entries.get(b)!.shape).toEqual([out, 16])
    }
  })
})
