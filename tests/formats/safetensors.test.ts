import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SkipstoneError } from '../../src/errors.js'
import {
  parseSafetensors,
  parseSafetensorsHeader,
  readF32,
  safetensorsHeaderLength,
  tensorDtype,
} from '../../src/formats/safetensors.js'
import { type TensorToWrite, writeSafetensors } from '../../src/formats/safetensors-writer.js'
import { hasShared, readShared } from './shared-data.js'

const badFile = expect.objectContaining({ code: 'bad-file' })

const encode = (header: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(header))

function f32(values: number[], shape: number[] = [values.length]): TensorToWrite {
  return { dtype: 'F32', shape, data: new Uint8Array(new Float32Array(values).buffer) }
}

const tensorMap = fc
  .uniqueArray(
    fc.record({
      name: fc.string({ minLength: 1 }).filter((name) => name !== '__metadata__'),
      dtype: fc.constantFrom('F32' as const, 'F16' as const, 'BF16' as const),
      shape: fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 3 }),
    }),
    { selector: ({ name }) => name, maxLength: 6 },
  )
  .map(
    (list) =>
      new Map(
        list.map(({ name, dtype, shape }, seed) => {
          const length = shape.reduce((product, size) => product * size, dtype === 'F32' ? 4 : 2)
          return [name, { dtype, shape, data: Uint8Array.from({ length }, (_, i) => (i * 7 + seed) & 0xff) }] as const
        }),
      ),
  )

/** Runs `parse`; anything but success or a SkipstoneError fails the test. */
function survives(parse: () => unknown): void {
  try {
    parse()
  } catch (error) {
    if (!(error instanceof SkipstoneError)) throw error
  }
}

describe('parseSafetensors', () => {
  it('reads back what the writer wrote', () => {
    fc.assert(
      fc.property(tensorMap, fc.dictionary(fc.string(), fc.string()), (tensors, metadata) => {
        const file = parseSafetensors(writeSafetensors(tensors, metadata))
        expect([...file.entries.keys()].sort()).toEqual([...tensors.keys()].sort())
        expect(Object.fromEntries(file.metadata)).toEqual({ ...metadata })
        for (const [name, { dtype, shape, data }] of tensors) {
          expect(file.entries.get(name)).toMatchObject({ name, dtype, shape })
          expect(file.data(name)).toEqual(data)
        }
      }),
    )
  })

  it('starts the data at a multiple of 8, as other writers do', () => {
    for (const name of ['a', 'ab', 'abc']) {
      const file = parseSafetensors(writeSafetensors(new Map([[name, f32([1])]])))
      expect(file.entries.get(name)!.start % 8).toBe(0)
    }
  })

  it('names a tensor that is not there', () => {
    const file = parseSafetensors(writeSafetensors(new Map([['a', f32([1])]])))
    expect(() => file.data('b')).toThrow(
      expect.objectContaining({ code: 'missing-tensor', message: expect.stringContaining('"b"') }),
    )
  })

  it('refuses metadata other than strings', () => {
    const withMetadata = (metadata: unknown): Uint8Array => {
      const header = encode({ __metadata__: metadata })
      return Uint8Array.from([header.length, 0, 0, 0, 0, 0, 0, 0, ...header])
    }
    expect(parseSafetensors(withMetadata({ a: 'b' })).metadata.get('a')).toBe('b')
    for (const metadata of [[], null, { a: 1 }]) expect(() => parseSafetensors(withMetadata(metadata))).toThrow(badFile)
  })

  it('throws nothing but SkipstoneError for random bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => survives(() => parseSafetensors(bytes))))
  })

  it('throws nothing but SkipstoneError for a damaged file, and never for its data alone', () => {
    const file = writeSafetensors(
      new Map([
        ['w', f32([1, 2, 3, 4], [2, 2])],
        ['b', f32([5])],
      ]),
      { by: 'test' },
    )
    const byte = fc.record({ at: fc.nat(file.length - 1), value: fc.integer({ min: 0, max: 255 }) })
    fc.assert(
      fc.property(fc.array(byte, { minLength: 1, maxLength: 4 }), fc.nat(file.length), (changes, length) => {
        const damaged = file.slice()
        for (const { at, value } of changes) damaged[at] = value
        survives(() => {
          const { entries, data } = parseSafetensors(damaged)
          for (const entry of entries.values()) readF32(entry, data(entry.name))
        })
        survives(() => parseSafetensors(damaged.subarray(0, length)))
      }),
      { numRuns: 2000 },
    )
  })

  it('refuses every truncation', () => {
    const file = writeSafetensors(new Map([['w', f32([1, 2, 3])]]))
    for (let length = 0; length < file.length; length++) {
      expect(() => parseSafetensors(file.subarray(0, length))).toThrow(badFile)
    }
  })
})

describe('safetensorsHeaderLength', () => {
  const withLength = (length: bigint): Uint8Array => new Uint8Array(new BigUint64Array([length]).buffer)

  it('refuses lengths past the file or past 100 MB', () => {
    expect(safetensorsHeaderLength(withLength(92n), 100)).toBe(92)
    expect(() => safetensorsHeaderLength(withLength(93n), 100)).toThrow(badFile)
    expect(safetensorsHeaderLength(withLength(100_000_000n), undefined)).toBe(100_000_000)
    expect(() => safetensorsHeaderLength(withLength(100_000_001n), undefined)).toThrow(badFile)
    expect(() => safetensorsHeaderLength(withLength(2n ** 64n - 1n), undefined)).toThrow(badFile)
    expect(() => safetensorsHeaderLength(new Uint8Array(7), undefined)).toThrow(badFile)
  })
})

describe('parseSafetensorsHeader', () => {
  const w = { dtype: 'F32', shape: [2], data_offsets: [0, 8] }

  it('gives offsets in the file, in the order of the data', () => {
    const header = encode({ b: { dtype: 'I8', shape: [3], data_offsets: [8, 11] }, a: w })
    const start = 8 + header.length
    expect([...parseSafetensorsHeader(header, start + 11).values()]).toEqual([
      { name: 'a', dtype: 'F32', shape: [2], start, end: start + 8 },
      { name: 'b', dtype: 'I8', shape: [3], start: start + 8, end: start + 11 },
    ])
  })

  it.each([
    ['a list', [w]],
    ['null', null],
    ['an entry that is no object', { w: 3 }],
    ['no dtype', { w: { ...w, dtype: undefined } }],
    ['a fractional size', { w: { ...w, shape: [0.5, 4] } }],
    ['a negative size', { w: { ...w, shape: [-1, -2] } }],
    ['offsets that are no pair', { w: { ...w, data_offsets: [0] } }],
    ['a negative offset', { w: { ...w, data_offsets: [-8, 0] } }],
    ['a fractional offset', { w: { ...w, data_offsets: [0.5, 8.5] } }],
    ['reversed offsets', { w, v: { ...w, dtype: 'F4', data_offsets: [8, 4] } }],
    ['a length that disagrees with the shape', { w: { ...w, shape: [3] } }],
    ['a length that disagrees with the dtype', { w: { ...w, dtype: 'F16' } }],
    ['a size that overflows', { w: { ...w, shape: [2 ** 52, 2 ** 52] } }],
    ['an overlap', { w, v: { ...w, data_offsets: [4, 12] } }],
    ['a gap', { w, v: { ...w, data_offsets: [12, 20] } }],
  ])('refuses %s', (_name, header) => {
    // Of unknown size, so that nothing but the header can be at fault.
    expect(() => parseSafetensorsHeader(encode(header), undefined)).toThrow(badFile)
  })

  it('refuses bytes that are not UTF-8 JSON', () => {
    expect(() =>
      parseSafetensorsHeader(
        new TextEncoder().encode(JSON.stringify({ '?': w })).map((byte) => (byte === 0x3f ? 0xff : byte)),
        undefined,
      ),
    ).toThrow(badFile)
    expect(() => parseSafetensorsHeader(new TextEncoder().encode('{"w":'), undefined)).toThrow(badFile)
  })

  it('refuses data past the end of the file, and a file past the end of its data', () => {
    const header = encode({ w })
    const size = 8 + header.length + 8
    expect(parseSafetensorsHeader(header, size).size).toBe(1)
    expect(parseSafetensorsHeader(header, undefined).size).toBe(1)
    expect(() => parseSafetensorsHeader(header, size - 1)).toThrow(badFile)
    expect(() => parseSafetensorsHeader(header, size + 1)).toThrow(badFile)
  })

  it('lets an unknown dtype pass until the tensor is used', () => {
    const entry = parseSafetensorsHeader(encode({ w: { ...w, dtype: 'F6_E2M3' } }), undefined).get('w')!
    expect(entry.dtype).toBe('F6_E2M3')
    const unsupported = expect.objectContaining({ code: 'unsupported', message: expect.stringContaining('F6_E2M3') })
    expect(() => tensorDtype(entry)).toThrow(unsupported)
    expect(() => readF32(entry, new Uint8Array(8))).toThrow(unsupported)
  })

  it('does not confuse tensor names with the properties of objects', () => {
    const json = '{"__proto__":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    const entries = parseSafetensorsHeader(new TextEncoder().encode(json), undefined)
    expect([...entries.keys()]).toEqual(['__proto__'])
    expect(() => parseSafetensorsHeader(encode({ toString: 1 }), undefined)).toThrow(badFile)
  })
})

describe('readF32', () => {
  it('decodes f32, f16 and bf16', () => {
    const two = (low: number, high: number): Uint8Array => new Uint8Array([low, high])
    const file = parseSafetensors(
      writeSafetensors(
        new Map([
          ['f32', f32([1.5])],
          ['f16', { dtype: 'F16', shape: [1], data: two(0x00, 0x3e) }],
          ['bf16', { dtype: 'BF16', shape: [1], data: two(0xc0, 0x3f) }],
        ]),
      ),
    )
    for (const entry of file.entries.values()) expect([...readF32(entry, file.data(entry.name))]).toEqual([1.5])
  })

  it('refuses bytes of another length', () => {
    const { entries } = parseSafetensors(writeSafetensors(new Map([['w', f32([1, 2])]])))
    expect(() => readF32(entries.get('w')!, new Uint8Array(4))).toThrow(badFile)
  })
})

describe('writeSafetensors', () => {
  it('refuses data that does not have the length of its shape', () => {
    const wrong: TensorToWrite = { ...f32([1, 2]), shape: [3] }
    expect(() => writeSafetensors(new Map([['w', wrong]]))).toThrow(expect.objectContaining({ code: 'internal' }))
  })
})

describe.skipIf(!hasShared)('files of other writers', () => {
  it('reads a checkpoint', () => {
    const file = parseSafetensors(readShared('models/stories260k/model.safetensors'))
    expect(file.entries.size).toBe(47)
    expect(file.metadata.get('format')).toBe('pt')
    expect(file.entries.get('model.layers.0.self_attn.k_proj.weight')!.shape).toEqual([32, 64])
    const norm = readF32(file.entries.get('model.norm.weight')!, file.data('model.norm.weight'))
    expect(norm).toHaveLength(64)
    expect(norm.every(Number.isFinite)).toBe(true)
  })

  it('reads a file with zero-sized tensors and other dtypes', () => {
    const file = parseSafetensors(readShared('golden/ops.safetensors'))
    expect(file.entries.get('attention_prefill.3.q')!.shape).toEqual([0, 6, 64])
    expect(file.data('attention_prefill.3.q')).toHaveLength(0)
    expect(file.entries.get('rope.0.positions')!.dtype).toBe('I32')
  })
})
