import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type GgufHeader, parseGguf } from '../../src/formats/gguf.js'
import { ggufTensorName, ROPE_FACTORS } from '../../src/formats/gguf-names.js'
import { parseSafetensors, readF32 } from '../../src/formats/safetensors.js'
import { parseModelConfig } from '../../src/model/config.js'
import { ggufConfig } from '../../src/model/gguf-config.js'
import { ggufRowSource, hasInterleavedRows } from '../../src/model/gguf-rows.js'
import { llama3Factors } from '../../src/model/llama3-factors.js'
import {
  array,
  bool,
  f32,
  f32Tensor,
  GGML,
  type GgufTensor,
  type TypedValue,
  text,
  u32,
  writeGguf,
} from '../fixtures/gguf-writer.js'
import { readJson, sharedDir, sharedPresent } from '../fixtures/golden.js'
import { readShared } from '../formats/shared-data.js'

const badFile = expect.objectContaining({ code: 'bad-file' })
const unsupported = expect.objectContaining({ code: 'unsupported' })
const naming = (what: string) =>
  expect.objectContaining({ code: 'unsupported', message: expect.stringContaining(what) })

/** Metadata of a small model, with changes; null takes a key out. */
function metadata(architecture: string, changes: Record<string, TypedValue | null> = {}): [string, TypedValue][] {
  const all: Record<string, TypedValue | null> = {
    'general.architecture': text(architecture),
    [`${architecture}.context_length`]: u32(256),
    [`${architecture}.embedding_length`]: u32(32),
    [`${architecture}.block_count`]: u32(2),
    [`${architecture}.feed_forward_length`]: u32(48),
    [`${architecture}.attention.head_count`]: u32(4),
    [`${architecture}.attention.head_count_kv`]: u32(2),
    [`${architecture}.attention.layer_norm_rms_epsilon`]: f32(1e-6),
    'tokenizer.ggml.model': text('gpt2'),
    'tokenizer.ggml.bos_token_id': u32(5),
    'tokenizer.ggml.eos_token_id': u32(6),
    ...changes,
  }
  return Object.entries(all).filter((entry): entry is [string, TypedValue] => entry[1] !== null)
}

const embedding = f32Tensor('token_embd.weight', [7, 32], new Float32Array(7 * 32))
const vector = (name: string): GgufTensor => f32Tensor(name, [1], [0])

function header(
  architecture: string,
  changes: Record<string, TypedValue | null> = {},
  tensors: readonly GgufTensor[] = [embedding],
): GgufHeader {
  const file = writeGguf({ metadata: metadata(architecture, changes), tensors })
  return parseGguf(file, file.length)!
}

/** As the loader will read it. */
const parsed = (of: GgufHeader, factors?: Float32Array) => parseModelConfig(ggufConfig(of, factors))

describe('ggufConfig', () => {
  it('says in the words of config.json what the metadata says', () => {
    expect(parsed(header('llama'))).toEqual({
      architecture: 'llama',
      hiddenSize: 32,
      intermediateSize: 48,
      layers: 2,
      heads: 4,
      kvHeads: 2,
      headDim: 8,
      vocabSize: 7,
      contextLength: 256,
      rmsNormEps: 1e-6,
      rope: { kind: 'default', theta: 10_000 },
      tiedEmbeddings: true,
      qkvBias: false,
      outputBias: false,
      mlpBias: false,
      qkNorm: false,
      bosTokenId: 5,
      eosTokenIds: [6],
      torchDtype: 'float32',
    })
  })

  it('is JSON', () => {
    const config = ggufConfig(header('llama'))
    expect(JSON.parse(JSON.stringify(config))).toEqual(config)
  })

  it('knows qwen2, qwen3, and the head size where it is given', () => {
    const bias = ['attn_q.bias', 'attn_k.bias', 'attn_v.bias'].map((name) => vector(`blk.0.${name}`))
    expect(parsed(header('qwen2', {}, bias.concat(embedding)))).toMatchObject({ architecture: 'qwen2', qkvBias: true })
    const norms = ['attn_q_norm.weight', 'attn_k_norm.weight'].map((name) => vector(`blk.1.${name}`))
    const sizes = { 'qwen3.attention.key_length': u32(16), 'qwen3.attention.value_length': u32(16) }
    expect(parsed(header('qwen3', sizes, norms.concat(embedding)))).toMatchObject({
      architecture: 'qwen3',
      headDim: 16,
      qkNorm: true,
      qkvBias: false,
    })
  })

  it.each(['gemma2', 'phi3', 'qwen2moe', 'bert', 'Llama', 'toString'])(
    'refuses the architecture %s by name',
    (name) => {
      expect(() => ggufConfig(header(name))).toThrow(naming(`"${name}"`))
    },
  )

  it('reads untied embeddings, biases and all the tokens that end an answer', () => {
    const tensors = [
      embedding,
      f32Tensor('output.weight', [7, 32], new Float32Array(7 * 32)),
      ...['attn_q', 'attn_k', 'attn_v', 'attn_output', 'ffn_up'].map((name) => vector(`blk.0.${name}.bias`)),
    ]
    const tokens = { 'tokenizer.ggml.eot_token_id': u32(3), 'tokenizer.ggml.eom_token_id': u32(6) }
    expect(parsed(header('llama', tokens, tensors))).toMatchObject({
      tiedEmbeddings: false,
      qkvBias: true,
      outputBias: true,
      mlpBias: true,
      eosTokenIds: [6, 3],
    })
  })

  it.each<[string, string, string[]]>([
    ['llama with biases on Q, K and V alone', 'llama', ['attn_q.bias', 'attn_k.bias', 'attn_v.bias']],
    ['llama with a bias on the output alone', 'llama', ['attn_output.bias']],
    ['llama with head norms', 'llama', ['attn_q_norm.weight']],
    ['qwen2 with a bias on the output', 'qwen2', ['attn_output.bias']],
    ['qwen3 with a bias in the MLP', 'qwen3', ['ffn_gate.bias']],
  ])('refuses %s', (_name, architecture, names) => {
    const tensors = [embedding, ...names.map((name) => vector(`blk.0.${name}`))]
    expect(() => parsed(header(architecture, {}, tensors))).toThrow(unsupported)
  })

  it('takes the defaults of SentencePiece vocabularies, and −1 for no token', () => {
    const none = { 'tokenizer.ggml.bos_token_id': null, 'tokenizer.ggml.eos_token_id': null }
    expect(parsed(header('llama', none))).toMatchObject({ bosTokenId: undefined, eosTokenIds: [] })
    const spm = { ...none, 'tokenizer.ggml.model': text('llama') }
    expect(parsed(header('llama', spm))).toMatchObject({ bosTokenId: 1, eosTokenIds: [2] })
    for (const value of [u32(0xffff_ffff), { type: 'i32', value: -1 } as const]) {
      const minusOne = { 'tokenizer.ggml.bos_token_id': value }
      expect(parsed(header('llama', minusOne))).toMatchObject({ bosTokenId: undefined })
      expect(parsed(header('llama', { ...spm, ...minusOne }))).toMatchObject({ bosTokenId: 1 })
    }
    expect(() => ggufConfig(header('llama', { 'tokenizer.ggml.eos_token_id': u32(7) }))).toThrow(badFile)
  })

  it('counts the vocabulary by the embedding, or by the tokens', () => {
    const tokens = { 'tokenizer.ggml.tokens': array('string', ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) }
    expect(parsed(header('llama', tokens)).vocabSize).toBe(7)
    expect(parsed(header('llama', tokens, [])).vocabSize).toBe(8)
    expect(() => ggufConfig(header('llama', {}, []))).toThrow(badFile)
  })

  it('names a stored type only where weights are floats', () => {
    const half = { name: 'token_embd.weight', shape: [7, 32], type: GGML.F16, data: new Uint8Array(7 * 64) }
    expect(parsed(header('llama', {}, [half])).torchDtype).toBe('float16')
    const q8 = { name: 'token_embd.weight', shape: [7, 32], type: GGML.Q8_0, data: new Uint8Array(7 * 34) }
    expect(parsed(header('llama', {}, [q8])).torchDtype).toBeUndefined()
  })

  it('reads settings that are given per layer, if all layers agree', () => {
    const key = 'llama.attention.head_count_kv'
    expect(parsed(header('llama', { [key]: array('i32', [1, 1]) })).kvHeads).toBe(1)
    expect(parsed(header('llama', { [key]: array('u64', [4n, 4n]) })).kvHeads).toBe(4)
    expect(() => ggufConfig(header('llama', { [key]: array('i32', [1, 2]) }))).toThrow(naming(key))
  })

  it.each<[string, Record<string, TypedValue | null>]>([
    ['no architecture', { 'general.architecture': null }],
    ['an architecture that is a list', { 'general.architecture': array('i64', [1n]) }],
    ['no layer count', { 'llama.block_count': null }],
    ['no epsilon', { 'llama.attention.layer_norm_rms_epsilon': null }],
    ['no heads', { 'llama.attention.head_count': u32(0) }],
    ['heads as text', { 'llama.attention.head_count': text('4') }],
    ['an empty list of heads', { 'llama.attention.head_count': array('u32', []) }],
    ['an enormous width', { 'llama.embedding_length': { type: 'u64', value: 2n ** 63n } }],
    [
      'heads that do not divide the width',
      { 'llama.attention.head_count': u32(5), 'llama.attention.head_count_kv': null },
    ],
    ['a base of 0', { 'llama.rope.freq_base': f32(0) }],
    ['an epsilon that is no number', { 'llama.attention.layer_norm_rms_epsilon': f32(Number.NaN) }],
    ['a token id of another type', { 'tokenizer.ggml.bos_token_id': { type: 'u64', value: 2n ** 60n } }],
  ])('refuses %s', (_name, changes) => {
    expect(() => parsed(header('llama', changes))).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^(bad-file|unsupported)$/) }),
    )
  })

  it('refuses tensors of more layers than there are', () => {
    expect(() => ggufConfig(header('llama', {}, [embedding, vector('blk.2.attn_q.weight')]))).toThrow(badFile)
  })

  it.each<[string, TypedValue]>([
    ['expert_count', u32(8)],
    ['logit_scale', f32(0.5)],
    ['attention.scale', f32(0.2)],
    ['attention.causal', bool(false)],
    ['attention.sliding_window', u32(128)],
    ['attention.value_length', u32(4)],
    ['rope.dimension_count', u32(4)],
    ['rope.scaling.type', text('yarn')],
    ['rope.scaling.type', text('longrope')],
  ])('refuses %s by name or kind', (key, value) => {
    expect(() => ggufConfig(header('llama', { [`llama.${key}`]: value }))).toThrow(unsupported)
  })

  it('passes over the same settings where they change nothing', () => {
    const neutral = {
      'llama.expert_count': u32(0),
      'llama.logit_scale': f32(1),
      'llama.attention.causal': bool(true),
      'llama.attention.sliding_window': u32(256),
      'llama.rope.dimension_count': u32(8),
      'llama.rope.scaling.type': text('none'),
      'llama.rope.scaling.factor': f32(8),
    }
    expect(parsed(header('llama', neutral))).toEqual(parsed(header('llama')))
  })

  it('reads the base and linear scaling, by its old name too', () => {
    const base = { 'llama.rope.freq_base': f32(500_000) }
    expect(parsed(header('llama', base)).rope).toEqual({ kind: 'default', theta: 500_000 })
    const linear = { kind: 'linear', theta: 10_000, factor: 2.5 }
    const typed = { 'llama.rope.scaling.type': text('linear'), 'llama.rope.scaling.factor': f32(2.5) }
    expect(parsed(header('llama', typed)).rope).toEqual(linear)
    expect(parsed(header('llama', { 'llama.rope.scale_linear': f32(2.5) })).rope).toEqual(linear)
  })
})

/** rope_freqs.weight as llama.cpp's converter computes it (convert_hf_to_gguf.py, generate_extra_tensors). */
function converterFactors(
  theta: number,
  headDim: number,
  factor: number,
  low = 1,
  high = 4,
  context = 8192,
): Float32Array {
  return Float32Array.from({ length: headDim / 2 }, (_, i) => {
    const wavelength = (2 * Math.PI) / Math.fround(1 / theta ** ((2 * i) / headDim))
    if (wavelength < context / high) return 1
    if (wavelength > context / low) return factor
    const smooth = (context / wavelength - low) / (high - low)
    return 1 / ((1 - smooth) / factor + smooth)
  })
}

describe('the factors of rope_freqs.weight', () => {
  const base = { 'llama.rope.freq_base': f32(500_000), 'llama.attention.key_length': u32(64) }
  const withTensor = header('llama', base, [embedding, f32Tensor(ROPE_FACTORS, [32], new Float32Array(32).fill(1))])

  it.each([8, 32])('are recognised as Llama 3 scaling by %d', (factor) => {
    expect(parsed(withTensor, converterFactors(500_000, 64, factor)).rope).toEqual({
      kind: 'llama3',
      theta: 500_000,
      factor,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalContext: 8192,
    })
  })

  it('mean nothing where all are 1', () => {
    expect(parsed(withTensor, new Float32Array(32).fill(1)).rope).toEqual({ kind: 'default', theta: 500_000 })
  })

  it('must be given where the file has them, in the right number', () => {
    expect(() => ggufConfig(withTensor)).toThrow(naming(ROPE_FACTORS))
    expect(() => ggufConfig(withTensor, new Float32Array(16))).toThrow(badFile)
  })

  it.each([
    ['another original context', converterFactors(500_000, 64, 8, 1, 4, 4096)],
    ['another blend', converterFactors(500_000, 64, 8, 1, 8)],
    ['another base', converterFactors(10_000, 64, 8)],
    ['one wrong factor', converterFactors(500_000, 64, 8).map((value, i) => (i === 14 ? value * 1.01 : value))],
    ['only small factors', new Float32Array(32).fill(0.5)],
    ['infinity', new Float32Array(32).fill(Number.POSITIVE_INFINITY)],
    ['no numbers', new Float32Array(32).fill(Number.NaN)],
  ])('are refused for %s', (_name, factors) => {
    expect(llama3Factors(factors, 500_000)).toBeUndefined()
    expect(() => ggufConfig(withTensor, factors)).toThrow(naming(ROPE_FACTORS))
  })
})

describe('the rows of Q and K', () => {
  it('lie pairwise in the file', () => {
    const source = ggufRowSource(6)
    expect(Array.from({ length: 12 }, (_, row) => source(row))).toEqual([0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11])
  })

  it('do so for llama alone, weights and biases', () => {
    for (const name of ['blk.0.attn_q.weight', 'blk.11.attn_k.bias']) {
      expect(hasInterleavedRows('llama', name)).toBe(true)
      expect(hasInterleavedRows('qwen2', name)).toBe(false)
      expect(hasInterleavedRows('qwen3', name)).toBe(false)
    }
    for (const name of ['blk.0.attn_v.weight', 'blk.0.attn_q_norm.weight', 'blk.0.attn_output.weight', 'output.weight'])
      expect(hasInterleavedRows('llama', name)).toBe(false)
  })
})

describe.skipIf(!sharedPresent)('a converted model beside its original', () => {
  const load = () => {
    const file = readShared('models/stories260k/stories260K.gguf')
    return { file, header: parseGguf(file, file.length)! }
  }

  it('has the same configuration, but for what its file says otherwise', () => {
    const original = parseModelConfig(readJson(join(sharedDir, 'models/stories260k/config.json')))
    // The file stores the head although it equals the embedding, and gives the context as 128.
    expect(parsed(load().header)).toEqual({ ...original, contextLength: 128, tiedEmbeddings: false })
  })

  it('has the same tensors, Q and K in another order of rows', () => {
    const { file, header: gguf } = load()
    const original = parseSafetensors(readShared('models/stories260k/model.safetensors'))
    const { headDim } = parsed(gguf)
    let compared = 0
    for (const entry of gguf.entries.values()) {
      const name = ggufTensorName(entry.name)
      const twin = original.entries.get(name === 'lm_head.weight' ? 'model.embed_tokens.weight' : name)!
      expect(entry.shape).toEqual(twin.shape)
      const width = entry.shape.at(-1)!
      const values = readF32(entry, file.subarray(entry.start, entry.end))
      const expected = readF32(twin, original.data(twin.name))
      const source = hasInterleavedRows('llama', entry.name) ? ggufRowSource(headDim) : (row: number) => row
      const ordered = Float32Array.from(values, (_, i) => values[source(Math.floor(i / width)) * width + (i % width)]!)
      expect(ordered).toEqual(expected)
      compared++
    }
    expect(compared).toBe(original.entries.size + 1)
  })
})
