import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SkipstoneError } from '../../src/errors.js'
import { parseSafetensors } from '../../src/formats/safetensors.js'
import { ARCHITECTURES } from '../../src/model/architectures/index.js'
import { parseModelConfig } from '../../src/model/config.js'
import { hasShared, readShared, readSharedJson } from '../formats/shared-data.js'

const llama = {
  model_type: 'llama',
  architectures: ['LlamaForCausalLM'],
  hidden_size: 64,
  intermediate_size: 172,
  num_hidden_layers: 5,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  vocab_size: 512,
  max_position_embeddings: 512,
  rms_norm_eps: 1e-5,
  bos_token_id: 1,
  eos_token_id: 2,
}

const refused = (changes: object, code: string, part: string): void => {
  expect(() => parseModelConfig({ ...llama, ...changes })).toThrow(
    expect.objectContaining({ code, message: expect.stringContaining(part) }),
  )
}

describe('parseModelConfig', () => {
  it('fills in what old files leave out', () => {
    const { num_key_value_heads: _kv, rms_norm_eps: _eps, ...old } = llama
    expect(parseModelConfig(old)).toEqual({
      architecture: 'llama',
      hiddenSize: 64,
      intermediateSize: 172,
      layers: 5,
      heads: 8,
      kvHeads: 8,
      headDim: 8,
      vocabSize: 512,
      contextLength: 512,
      rmsNormEps: 1e-6,
      rope: { kind: 'default', theta: 10_000 },
      tiedEmbeddings: false,
      qkvBias: false,
      outputBias: false,
      mlpBias: false,
      qkNorm: false,
      bosTokenId: 1,
      eosTokenIds: [2],
      torchDtype: undefined,
    })
  })

  it('takes an explicit head size that differs from hidden / heads', () => {
    expect(parseModelConfig({ ...llama, head_dim: 128 }).headDim).toBe(128)
    expect(parseModelConfig({ ...llama, head_dim: null }).headDim).toBe(8)
  })

  it('reads end tokens as a number, a list or null', () => {
    expect(parseModelConfig({ ...llama, eos_token_id: [7, 9] }).eosTokenIds).toEqual([7, 9])
    expect(parseModelConfig({ ...llama, eos_token_id: null, bos_token_id: null })).toMatchObject({
      eosTokenIds: [],
      bosTokenId: undefined,
    })
    refused({ eos_token_id: [1, -1] }, 'bad-file', 'eos_token_id')
  })

  it('reads the dtype under its old and its new name', () => {
    expect(parseModelConfig({ ...llama, torch_dtype: 'float32' }).torchDtype).toBe('float32')
    expect(parseModelConfig({ ...llama, dtype: 'bfloat16' }).torchDtype).toBe('bfloat16')
  })

  it('goes by the class name where there is no model_type', () => {
    const { model_type: _type, ...untyped } = llama
    expect(parseModelConfig({ ...untyped, architectures: ['Qwen3ForCausalLM'] }).architecture).toBe('qwen3')
  })

  it.each([
    'hidden_size',
    'intermediate_size',
    'num_hidden_layers',
    'num_attention_heads',
    'num_key_value_heads',
    'vocab_size',
    'max_position_embeddings',
  ])('refuses a %s that is not a positive integer', (key) => {
    for (const value of [0, -1, 1.5, '8', true, {}, 2 ** 40]) refused({ [key]: value }, 'bad-file', key)
  })

  it('refuses sizes that are missing or contradict each other', () => {
    refused({ vocab_size: undefined }, 'bad-file', 'vocab_size')
    refused({ num_key_value_heads: 3 }, 'bad-file', 'key-value heads')
    refused({ hidden_size: 65 }, 'bad-file', 'hidden_size 65')
    refused({ head_dim: 7 }, 'bad-file', 'head size 7')
    refused({ rms_norm_eps: 'small' }, 'bad-file', 'rms_norm_eps')
    expect(() => parseModelConfig([])).toThrow(expect.objectContaining({ code: 'bad-file' }))
  })

  it.each([
    [{ model_type: 'mixtral' }, '"mixtral"'],
    [{ model_type: 'smollm3' }, '"smollm3"'],
    [{ model_type: 'toString' }, '"toString"'],
    [{ model_type: undefined, architectures: ['GemmaForCausalLM'] }, '"GemmaForCausalLM"'],
    [{ model_type: 'gemma' }, 'llama, mistral, qwen2, qwen3'],
    [{ hidden_act: 'gelu' }, 'hidden_act'],
    [{ quantization_config: { quant_method: 'awq' } }, 'quantization_config'],
    [{ num_local_experts: 8 }, 'num_local_experts'],
    [{ no_rope_layers: [1, 1, 1, 0, 1] }, 'no_rope_layers'],
    [{ partial_rotary_factor: 0.5 }, 'partial_rotary_factor'],
    [{ layer_types: ['full_attention', 'linear_attention'] }, 'linear_attention'],
    [{ layer_types: ['sliding_attention'] }, 'sliding_attention'],
  ])('refuses %j by name', (changes, part) => refused(changes, 'unsupported', part))

  it('throws nothing but SkipstoneError for damaged files', () => {
    const key = fc.constantFrom(
      ...Object.keys(llama),
      'rope_scaling',
      'rope_parameters',
      'layer_types',
      'head_dim',
      'sliding_window',
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.jsonValue(),
          fc.dictionary(key, fc.jsonValue()).map((extra) => ({ ...llama, ...extra })),
        ),
        (json) => {
          try {
            parseModelConfig(json)
          } catch (error) {
            if (!(error instanceof SkipstoneError)) throw error
          }
        },
      ),
      { numRuns: 1000 },
    )
  })
})

describe('RoPE settings', () => {
  const scaling = { factor: 32, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 }
  const llama3 = { kind: 'llama3', theta: 5e5, factor: 32, lowFreqFactor: 1, highFreqFactor: 4, originalContext: 8192 }

  it.each([
    [{ rope_theta: 5e5 }, { kind: 'default', theta: 5e5 }],
    [{ rope_parameters: { rope_type: 'default', rope_theta: 1e6 } }, { kind: 'default', theta: 1e6 }],
    [{ rope_scaling: { type: 'linear', factor: 2 } }, { kind: 'linear', theta: 1e4, factor: 2 }],
    [{ rope_theta: 5e5, rope_scaling: { ...scaling, rope_type: 'llama3' } }, llama3],
    [{ rope_parameters: { ...scaling, rope_type: 'llama3', rope_theta: 5e5 } }, llama3],
    [
      { rope_scaling: null, rope_parameters: { rope_type: 'linear', factor: 4 }, rope_theta: 7 },
      { kind: 'linear', theta: 7, factor: 4 },
    ],
  ])('%j', (changes, rope) => {
    expect(parseModelConfig({ ...llama, ...changes }).rope).toEqual(rope)
  })

  it.each([
    [{ rope_scaling: { type: 'yarn', factor: 4 } }, '"yarn"'],
    [{ rope_scaling: { rope_type: 'dynamic', factor: 4 } }, '"dynamic"'],
    [{ rope_parameters: { rope_type: 'longrope' } }, '"longrope"'],
    [{ rope_scaling: { type: 'su' } }, '"su"'],
    [{ rope_parameters: { partial_rotary_factor: 0.25 } }, 'partial_rotary_factor'],
    [{ rope_parameters: { full_attention: { rope_type: 'default' } } }, 'full_attention'],
  ])('refuses %j by name', (changes, part) => refused(changes, 'unsupported', part))

  it('refuses scalings without their numbers', () => {
    refused({ rope_scaling: { type: 'linear' } }, 'bad-file', 'factor')
    refused({ rope_scaling: { type: 'linear', factor: 0 } }, 'bad-file', 'factor')
    refused({ rope_scaling: { ...scaling, type: 'llama3', high_freq_factor: 1 } }, 'bad-file', 'high_freq_factor')
    refused({ rope_scaling: { type: 'llama3', factor: 8 } }, 'bad-file', 'low_freq_factor')
    refused({ rope_theta: 0 }, 'bad-file', 'rope_theta')
    refused({ rope_scaling: 'linear' }, 'bad-file', 'rope_scaling')
  })
})

describe('architectures', () => {
  const features = (changes: object): object => {
    const { qkvBias, outputBias, mlpBias, qkNorm } = parseModelConfig({ ...llama, sliding_window: null, ...changes })
    return { qkvBias, outputBias, mlpBias, qkNorm }
  }
  const none = { qkvBias: false, outputBias: false, mlpBias: false, qkNorm: false }

  it('know their optional tensors', () => {
    expect(features({ attention_bias: true })).toEqual({ ...none, qkvBias: true, outputBias: true })
    expect(features({ mlp_bias: true })).toEqual({ ...none, mlpBias: true })
    expect(features({ model_type: 'mistral', attention_bias: true })).toEqual(none)
    expect(features({ model_type: 'qwen2' })).toEqual({ ...none, qkvBias: true })
    expect(features({ model_type: 'qwen3' })).toEqual({ ...none, qkNorm: true })
    expect(features({ model_type: 'qwen3', attention_bias: true })).toEqual({
      qkvBias: true,
      outputBias: true,
      mlpBias: false,
      qkNorm: true,
    })
  })

  it('name optional tensors exactly where a model has them', () => {
    const { layer } = ARCHITECTURES.llama.tensors
    expect(Object.keys(layer(0, parseModelConfig(llama)))).toHaveLength(9)
    const all = layer(3, { qkvBias: true, outputBias: true, mlpBias: true, qkNorm: true })
    expect(all).toMatchObject({
      kBias: 'model.layers.3.self_attn.k_proj.bias',
      oBias: 'model.layers.3.self_attn.o_proj.bias',
      downBias: 'model.layers.3.mlp.down_proj.bias',
      qNorm: 'model.layers.3.self_attn.q_norm.weight',
    })
    expect(new Set(Object.values(all)).size).toBe(18)
  })

  const window = (changes: object): unknown => {
    try {
      return parseModelConfig({ ...llama, max_position_embeddings: 8192, ...changes }).architecture
    } catch (error) {
      return (error as SkipstoneError).code
    }
  }

  it.each([
    [{ model_type: 'mistral', sliding_window: null }, 'mistral'],
    [{ model_type: 'mistral', sliding_window: 8192 }, 'mistral'],
    [{ model_type: 'mistral', sliding_window: 4096 }, 'unsupported'],
    [{ model_type: 'mistral' }, 'unsupported'], // transformers assumes 4096
    [{ model_type: 'qwen2', use_sliding_window: false, sliding_window: 4096 }, 'qwen2'],
    [{ model_type: 'qwen2', sliding_window: 4096 }, 'qwen2'],
    [{ model_type: 'qwen2', use_sliding_window: true, sliding_window: 4096 }, 'unsupported'],
    [
      { model_type: 'qwen3', use_sliding_window: true, sliding_window: 8192, layer_types: ['sliding_attention'] },
      'qwen3',
    ],
    [{ model_type: 'qwen3', use_sliding_window: true }, 'unsupported'],
    [{ model_type: 'qwen3', layer_types: ['full_attention'] }, 'qwen3'],
    [{ model_type: 'llama', sliding_window: 16 }, 'llama'],
  ])('windows: %j', (changes, outcome) => expect(window(changes)).toBe(outcome))
})

describe.skipIf(!hasShared)('the models in shared', () => {
  it.each(['stories260k', 'tinystories-656k'])('%s has every tensor that its config calls for', (name) => {
    const config = parseModelConfig(readSharedJson(`models/${name}/config.json`))
    const { entries } = parseSafetensors(readShared(`models/${name}/model.safetensors`))
    const { tensors } = ARCHITECTURES[config.architecture]
    for (let layer = 0; layer < config.layers; layer++) {
      for (const tensor of Object.values(tensors.layer(layer, config))) expect(entries.has(tensor), tensor).toBe(true)
    }
    expect(entries.get(tensors.layer(0, config).gate)!.shape).toEqual([config.intermediateSize, config.hiddenSize])
    expect(config.tiedEmbeddings).toBe(true)
    expect(entries.has(tensors.embedding) || entries.has(tensors.head)).toBe(true)
  })
})
