import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SkipstoneError } from '../../src/errors.js'
import { type GgufHeader, parseGguf } from '../../src/formats/gguf.js'
import { ggufTensorName } from '../../src/formats/gguf-names.js'
import {
  array,
  bool,
  f32,
  f32Tensor,
  GGML,
  GgufBytes,
  type GgufContent,
  type GgufTensor,
  text,
  u32,
  writeGguf,
} from '../fixtures/gguf-writer.js'
import { hasShared, readShared } from './shared-data.js'

const badFile = expect.objectContaining({ code: 'bad-file' })
const unsupported = expect.objectContaining({ code: 'unsupported' })

const parse = (file: Uint8Array): GgufHeader | undefined => parseGguf(file, file.length)
const write = (content: GgufContent): (() => unknown) => {
  const file = writeGguf(content)
  return () => parse(file)
}

/** A bit of everything. */
const SAMPLE = writeGguf({
  metadata: [
    ['general.architecture', text('llama')],
    ['a.u8', { type: 'u8', value: 255 }],
    ['a.i8', { type: 'i8', value: -128 }],
    ['a.u16', { type: 'u16', value: 65535 }],
    ['a.i16', { type: 'i16', value: -32768 }],
    ['a.u32', u32(4294967295)],
    ['a.i32', { type: 'i32', value: -2147483648 }],
    ['a.f32', f32(0.5)],
    ['a.f64', { type: 'f64', value: 0.1 }],
    ['a.true', bool(true)],
    ['a.false', bool(false)],
    ['a.u64', { type: 'u64', value: 2 ** 53 - 1 }],
    ['a.large', { type: 'u64', value: 2n ** 64n - 1n }],
    ['a.i64', { type: 'i64', value: -5 }],
    ['a.small', { type: 'i64', value: -(2n ** 63n) }],
    ['a.strings', array('string', ['', '▁é', '\uFEFF日'])],
    ['a.floats', array('f32', [1.5, -0])],
    ['a.u64s', array('u64', [1n, 2n ** 60n])],
    ['a.bools', array('bool', [true, false])],
    ['a.nested', array('array', [array('i32', [-1]), array('i32', [2, 3])])],
    ['a.empty', array('string', [])],
    ['__proto__', u32(7)],
  ],
  tensors: [
    f32Tensor('matrix', [2, 3], [1, 2, 3, 4, 5, 6]),
    f32Tensor('scalar', [], [9]),
    { name: 'q8', shape: [3, 64], type: GGML.Q8_0, data: new Uint8Array(3 * 2 * 34) },
    { name: 'odd', shape: [256], type: GGML.IQ2_XS, data: new Uint8Array(74) },
    f32Tensor('none', [0, 4], []),
  ],
})

describe('parseGguf', () => {
  it('reads back what was written', () => {
    const { version, metadata, entries } = parse(SAMPLE)!
    expect(version).toBe(3)
    expect([...metadata]).toEqual([
      ['general.architecture', 'llama'],
      ['a.u8', 255],
      ['a.i8', -128],
      ['a.u16', 65535],
      ['a.i16', -32768],
      ['a.u32', 4294967295],
      ['a.i32', -2147483648],
      ['a.f32', 0.5],
      ['a.f64', 0.1],
      ['a.true', true],
      ['a.false', false],
      ['a.u64', 2 ** 53 - 1],
      ['a.large', 2n ** 64n - 1n],
      ['a.i64', -5],
      ['a.small', -(2n ** 63n)],
      ['a.strings', ['', '▁é', '\uFEFF日']],
      ['a.floats', Float32Array.of(1.5, -0)],
      ['a.u64s', BigUint64Array.of(1n, 2n ** 60n)],
      ['a.bools', [true, false]],
      ['a.nested', [Int32Array.of(-1), Int32Array.of(2, 3)]],
      ['a.empty', []],
      ['__proto__', 7],
    ])
    // Five tensors, each padded to 32 bytes; the empty one lies at the end.
    const start = SAMPLE.length - 32 - 32 - 224 - 96
    expect([...entries.values()]).toEqual([
      { name: 'matrix', dtype: 'F32', shape: [2, 3], start, end: start + 24 },
      { name: 'scalar', dtype: 'F32', shape: [], start: start + 32, end: start + 36 },
      { name: 'q8', dtype: 'Q8_0', shape: [3, 64], start: start + 64, end: start + 64 + 204 },
      { name: 'odd', dtype: 'IQ2_XS', shape: [256], start: start + 288, end: start + 288 + 74 },
      { name: 'none', dtype: 'F32', shape: [0, 4], start: start + 384, end: start + 384 },
    ])
    const { start: at, end } = entries.get('matrix')!
    expect([...new Float32Array(SAMPLE.slice(at, end).buffer)]).toEqual([1, 2, 3, 4, 5, 6])
  })

  it('asks for more bytes until the header is whole, and then no more', () => {
    const whole = parse(SAMPLE)!
    const headerEnd = [...whole.entries.values()][0]!.start
    let first: number | undefined
    for (let length = 0; length <= SAMPLE.length; length++) {
      const header = parseGguf(SAMPLE.subarray(0, length), SAMPLE.length)
      if (header) {
        first ??= length
        expect(header).toEqual(whole)
      }
      expect(header === undefined).toBe(length < (first ?? Number.POSITIVE_INFINITY))
    }
    // The padding between header and data is not needed.
    expect(first).toBeGreaterThan(headerEnd - 32)
    expect(first).toBeLessThanOrEqual(headerEnd)
  })

  it('refuses every truncation of the file', () => {
    for (let length = 0; length < SAMPLE.length - 32; length++) {
      expect(() => parse(SAMPLE.subarray(0, length))).toThrow(badFile)
    }
  })

  it('reads prefixes that are views into something larger', () => {
    const larger = new Uint8Array(SAMPLE.length + 9)
    larger.set(SAMPLE, 9)
    expect(parseGguf(larger.subarray(9), SAMPLE.length)).toEqual(parse(SAMPLE))
  })

  it('reads version 2 and files without tensors', () => {
    expect(parse(writeGguf({ version: 2, metadata: [['k', u32(1)]] }))).toEqual({
      version: 2,
      metadata: new Map([['k', 1]]),
      entries: new Map(),
    })
  })

  it('keeps to the alignment that the file asks for', () => {
    const tensors = [f32Tensor('a', [1], [1]), f32Tensor('b', [1], [2])]
    for (const alignment of [1, 8, 64, 4096]) {
      const file = writeGguf({ alignment, metadata: [['general.alignment', u32(alignment)]], tensors })
      const { a, b } = Object.fromEntries(parse(file)!.entries)
      expect(a!.start % alignment).toBe(0)
      expect(b!.start - a!.start).toBe(Math.max(4, alignment))
      expect(file[b!.end - 1]).toBe(0x40)
    }
  })

  it('sorts tensors by their data', () => {
    const tensors: GgufTensor[] = [
      { ...f32Tensor('second', [1], [2]), offset: 32 },
      { ...f32Tensor('first', [1], [1]), offset: 0 },
    ]
    expect([...parse(writeGguf({ tensors }))!.entries.keys()]).toEqual(['first', 'second'])
  })

  it.each([
    ['version 1', 1],
    ['a version to come', 4],
    ['a big-endian file', 0x0300_0000],
  ])('says that %s is unsupported', (_name, version) => {
    expect(write({ version })).toThrow(unsupported)
  })

  it('says that an unknown tensor type is unsupported', () => {
    expect(write({ tensors: [{ ...f32Tensor('w', [1], [1]), type: 99 }] })).toThrow(unsupported)
  })

  const w = f32Tensor('w', [1], [1])
  it.each<[string, GgufContent]>([
    ['version 0', { version: 0 }],
    [
      'a metadata key twice',
      {
        metadata: [
          ['k', u32(1)],
          ['k', u32(2)],
        ],
      },
    ],
    ['a tensor twice', { tensors: [w, w] }],
    ['an alignment of 0', { metadata: [['general.alignment', u32(0)]] }],
    ['an alignment of 24', { metadata: [['general.alignment', u32(24)]] }],
    ['an alignment that is no number', { metadata: [['general.alignment', text('32')]] }],
    ['an alignment beyond 2^53', { metadata: [['general.alignment', { type: 'u64', value: 2n ** 60n }]] }],
    ['an overlap', { tensors: [f32Tensor('a', [10], Array(10).fill(0)), { ...w, offset: 32 }] }],
    ['a misaligned tensor', { tensors: [{ ...w, offset: 4 }] }],
    ['a tensor past the end', { tensors: [{ ...w, offset: 32 }] }],
    ['an offset past 2^53', { tensors: [{ ...w, offset: 2n ** 60n }] }],
    ['a tensor larger than its file', { tensors: [{ ...w, shape: [1000] }] }],
    ['a shape that overflows', { tensors: [{ ...w, shape: [2 ** 30, 2 ** 30] }] }],
    ['five dimensions', { tensors: [{ ...w, shape: [1, 1, 1, 1, 1] }] }],
    [
      'rows that are no whole blocks',
      { tensors: [{ ...w, type: GGML.Q8_0, shape: [2, 16], data: new Uint8Array(34) }] },
    ],
    ['arrays five deep', { metadata: [['k', [0, 1, 2, 3].reduce((a) => array('array', [a]), array('u8', [1]))]] }],
  ])('refuses %s', (_name, content) => {
    expect(write(content)).toThrow(badFile)
  })

  it('allows arrays four deep', () => {
    const nested = [0, 1, 2].reduce((inner) => array('array', [inner]), array('u8', [1]))
    expect(parse(writeGguf({ metadata: [['k', nested]] }))!.metadata.get('k')).toEqual([[[Uint8Array.of(1)]]])
  })

  const head = (tensors = 0, pairs = 1): GgufBytes =>
    new GgufBytes().raw(new TextEncoder().encode('GGUF')).u32(3).u64(tensors).u64(pairs)
  it.each<[string, GgufBytes]>([
    ['another magic', new GgufBytes().raw(new TextEncoder().encode('GGUX')).u32(3).u64(0).u64(0)],
    ['more tensors than the file has room for', head(10, 0).raw(new Uint8Array(239))],
    ['more metadata than the file has room for', head(0, 10).raw(new Uint8Array(129))],
    ['a key longer than the file', head().u64(1000).raw([65])],
    [
      'a key length of 2^64 − 1',
      head()
        .u64(2n ** 64n - 1n)
        .raw(new Uint8Array(100)),
    ],
    ['a value type that does not exist', head().string('k').u32(13).u64(0)],
    ['an element type that does not exist', head().string('k').u32(9).u32(13).u64(0)],
    ['a text longer than the file', head().string('k').u32(8).u64(9).raw([65])],
    ['text that is not UTF-8', head().string('k').u32(8).u64(1).raw([0xff])],
    ['a truth value of 2', head().string('k').u32(7).raw([2])],
    ['more numbers than the file has room for', head().string('k').u32(9).u32(4).u64(3).raw(new Uint8Array(11))],
    [
      '2^62 numbers',
      head()
        .string('k')
        .u32(9)
        .u32(4)
        .u64(2n ** 62n)
        .raw(new Uint8Array(11)),
    ],
    ['more strings than the file has room for', head().string('k').u32(9).u32(8).u64(3).raw(new Uint8Array(23))],
    ['more arrays than the file has room for', head().string('k').u32(9).u32(9).u64(2).raw(new Uint8Array(23))],
  ])('refuses %s', (_name, bytes) => {
    expect(() => parse(bytes.done())).toThrow(badFile)
  })

  it.each<[string, GgufBytes, number]>([
    ['tensors', head(10, 0), 231], // the count of metadata lies between, 8 bytes
    ['metadata', head(0, 10), 129],
    ['text', head().string('k').u32(8).u64(9), 8],
    ['numbers', head().string('k').u32(9).u32(4).u64(3), 11],
    ['strings', head().string('k').u32(9).u32(8).u64(3), 23],
  ])('refuses too many %s at once, without asking for the rest of the file', (_name, bytes, left) => {
    expect(() => parseGguf(bytes.done(), bytes.length + left)).toThrow(badFile)
    expect(parseGguf(bytes.done(), bytes.length + left + 1)).toBeUndefined()
  })

  it('takes no memory on the word of a length, however large the file', () => {
    const fileSize = 2 ** 40
    // Plausible in so large a file: it asks for more bytes until the header has reached its limit.
    expect(parseGguf(head(2 ** 30, 0).done(), fileSize)).toBeUndefined()
    expect(
      parseGguf(
        head()
          .string('k')
          .u32(9)
          .u32(8)
          .u64(2 ** 36)
          .done(),
        fileSize,
      ),
    ).toBeUndefined()
    // No header holds that many bytes at once.
    expect(() =>
      parseGguf(
        head()
          .string('k')
          .u32(9)
          .u32(4)
          .u64(2 ** 36)
          .done(),
        fileSize,
      ),
    ).toThrow(badFile)
    expect(() =>
      parseGguf(
        head()
          .string('k')
          .u32(8)
          .u64(2 ** 36)
          .done(),
        fileSize,
      ),
    ).toThrow(badFile)
  })

  it('throws nothing but bad-file and unsupported for damaged headers', () => {
    const headerEnd = [...parse(SAMPLE)!.entries.values()][0]!.start
    const interesting = fc.constantFrom(0, 1, 2, 7, 8, 9, 12, 13, 31, 127, 128, 254, 255)
    const change = fc.record({ at: fc.nat(headerEnd - 1), value: fc.oneof(interesting, fc.nat(255)) })
    const outcomes = { read: 0, incomplete: 0, refused: 0 }
    fc.assert(
      fc.property(
        fc.array(change, { minLength: 1, maxLength: 4 }),
        fc.oneof(fc.constant(SAMPLE.length), fc.nat(SAMPLE.length)),
        fc.constantFrom(0, 2 ** 33),
        (changes, length, extra) => {
          const damaged = SAMPLE.slice()
          for (const { at, value } of changes) damaged[at] = value
          try {
            outcomes[parseGguf(damaged.subarray(0, length), SAMPLE.length + extra) ? 'read' : 'incomplete']++
          } catch (error) {
            if (!(error instanceof SkipstoneError)) throw error
            expect(['bad-file', 'unsupported']).toContain(error.code)
            outcomes.refused++
          }
        },
      ),
      { numRuns: 5000, seed: 260 },
    )
    for (const count of Object.values(outcomes)) expect(count).toBeGreaterThan(100)
  })

  it('throws nothing but bad-file and unsupported for random bytes after a good start', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(3), fc.nat(3), (bytes, tensors, pairs) => {
        const file = head(tensors, pairs).raw(bytes).done()
        try {
          parse(file)
        } catch (error) {
          if (!(error instanceof SkipstoneError)) throw error
        }
      }),
      { numRuns: 2000, seed: 261 },
    )
  })
})

describe('ggufTensorName', () => {
  it.each([
    ['token_embd.weight', 'model.embed_tokens.weight'],
    ['output_norm.weight', 'model.norm.weight'],
    ['output.weight', 'lm_head.weight'],
    ['blk.0.attn_norm.weight', 'model.layers.0.input_layernorm.weight'],
    ['blk.12.attn_q.weight', 'model.layers.12.self_attn.q_proj.weight'],
    ['blk.1.attn_k.bias', 'model.layers.1.self_attn.k_proj.bias'],
    ['blk.1.attn_v.weight', 'model.layers.1.self_attn.v_proj.weight'],
    ['blk.1.attn_output.weight', 'model.layers.1.self_attn.o_proj.weight'],
    ['blk.1.attn_q_norm.weight', 'model.layers.1.self_attn.q_norm.weight'],
    ['blk.1.attn_k_norm.weight', 'model.layers.1.self_attn.k_norm.weight'],
    ['blk.1.ffn_norm.weight', 'model.layers.1.post_attention_layernorm.weight'],
    ['blk.1.ffn_gate.weight', 'model.layers.1.mlp.gate_proj.weight'],
    ['blk.1.ffn_up.bias', 'model.layers.1.mlp.up_proj.bias'],
    ['blk.1.ffn_down.weight', 'model.layers.1.mlp.down_proj.weight'],
    ['rope_freqs.weight', 'rope_freqs.weight'],
  ])('%s is %s', (from, to) => {
    expect(ggufTensorName(from)).toBe(to)
  })

  it.each([
    'blk.0.ffn_gate_exps.weight',
    'blk.0.attn_qkv.weight',
    'blk.0.attn_norm.bias',
    'blk.01.attn_q.weight',
    'blk.0.toString',
    'blk.-1.attn_q.weight',
    'output.bias',
    'token_embd_norm.weight',
    'model.norm.weight',
    'constructor',
    '',
  ])('refuses "%s"', (name) => {
    expect(() => ggufTensorName(name)).toThrow(unsupported)
  })
})

describe.skipIf(!hasShared)('a file of another writer', () => {
  it('is read', () => {
    const file = readShared('models/stories260k/stories260K.gguf')
    const { version, metadata, entries } = parse(file)!
    expect(version).toBe(3)
    expect(metadata.size).toBe(19)
    expect(metadata.get('llama.attention.layer_norm_rms_epsilon')).toBe(Math.fround(1e-5))
    expect((metadata.get('tokenizer.ggml.tokens') as string[])[259]).toBe('▁t')
    expect(entries.size).toBe(48)
    expect(entries.get('blk.0.attn_k.weight')).toMatchObject({ dtype: 'F32', shape: [32, 64] })
    expect([...entries.values()].at(-1)!.end).toBe(file.length)
    expect(new Set([...entries.keys()].map(ggufTensorName)).size).toBe(48)

    expect(parseGguf(file.subarray(0, 14_151), file.length)).toBeUndefined()
    expect(parseGguf(file.subarray(0, 14_152), file.length)).toEqual(parse(file))
  })
})
