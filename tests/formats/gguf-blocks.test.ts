import { describe, expect, it } from 'vitest'
import { dequantise, GGML_BLOCKS, type GgmlBlockType, isGgmlBlockType } from '../../src/formats/gguf-blocks.js'
import { floatToHalf, halfToFloat } from '../../src/formats/half.js'
import { fromF16, storeFloats } from '../fixtures/float-bytes.js'
import { Prng } from '../fixtures/prng.js'

const badFile = expect.objectContaining({ code: 'bad-file' })

/** Halves by their bits. */
const ONE = 0x3c00
const MINUS_TWO = 0xc000
const SMALLEST = 0x0001 // 2^-24, subnormal
const LARGEST = 0x7bff // 65504

const le16 = (bits: number): number[] => [bits & 0xff, bits >> 8]
const zeros = (length: number): number[] => Array(length).fill(0)
const values = (type: GgmlBlockType, bytes: number[]): number[] => [
  ...dequantise(type, Uint8Array.from(bytes), (bytes.length / GGML_BLOCKS[type].bytes) * GGML_BLOCKS[type].values),
]

/** Blocks of random bytes, with random normal, subnormal and extreme but finite halves at `halves`. */
function randomBlocks(type: GgmlBlockType, halves: number[], blocks: number, prng: Prng): Uint8Array {
  const size = GGML_BLOCKS[type].bytes
  const bytes = Uint8Array.from({ length: blocks * size }, () => prng.below(256))
  for (let b = 0; b < blocks; b++) {
    for (const at of halves) {
      const choices = [SMALLEST, LARGEST, 0x8000 | LARGEST, 0x03ff, 0x8001, 0, 0x8000, prng.below(0x7c00)]
      bytes.set(le16(choices[prng.below(choices.length)]!), b * size + at)
    }
  }
  return bytes
}

describe('the blocks of llama.cpp', () => {
  it('are known by name', () => {
    expect(isGgmlBlockType('Q4_K')).toBe(true)
    for (const name of ['IQ2_XS', 'toString', 'q4_k', '']) expect(isGgmlBlockType(name)).toBe(false)
  })

  it.each(['F32', 'F16', 'BF16'] as const)('%s values are themselves', (dtype) => {
    const { bytes, stored } = storeFloats([0, -1.5, 2 ** -24, 65504, 1 / 3], dtype)
    expect(dequantise(dtype, bytes, 5)).toEqual(stored)
  })

  it('refuse other lengths than whole blocks', () => {
    expect(() => dequantise('Q8_0', new Uint8Array(33), 32)).toThrow(badFile)
    expect(() => dequantise('Q8_0', new Uint8Array(34), 31)).toThrow(badFile)
    expect(() => dequantise('Q6_K', new Uint8Array(420), 256)).toThrow(badFile)
    expect(() => dequantise('F16', new Uint8Array(3), 1)).toThrow(badFile)
    expect(dequantise('Q4_K', new Uint8Array(0), 0)).toHaveLength(0)
  })

  it('may lie at any offset', () => {
    const bytes = Uint8Array.from([7, ...le16(ONE), 5, ...zeros(31)])
    expect(dequantise('Q8_0', bytes.subarray(1), 32)[0]).toBe(5)
  })
})

describe('Q8_0', () => {
  it('is a scale times signed bytes', () => {
    const block = [...le16(MINUS_TWO), 1, 127, 128, 255, ...zeros(28)]
    expect(values('Q8_0', block).slice(0, 5)).toEqual([-2, -254, 256, 2, -0])
  })

  it('keeps the smallest and the largest scale', () => {
    expect(values('Q8_0', [...le16(SMALLEST), 129, ...zeros(31)])[0]).toBe(-127 * 2 ** -24)
    expect(values('Q8_0', [...le16(LARGEST), 128, ...zeros(31)])[0]).toBe(-128 * 65504)
  })

  it('has its blocks one after the other', () => {
    const two = [...le16(ONE), ...zeros(31), 3, ...le16(MINUS_TWO), 4, ...zeros(31)]
    expect(values('Q8_0', two).slice(31, 33)).toEqual([3, -8])
  })
})

describe('Q4_0', () => {
  it('has the first half in low nibbles and the second in high ones, 8 meaning zero', () => {
    const out = values('Q4_0', [...le16(MINUS_TWO), 0x0f, 0xf0, 0x88, ...zeros(12), 0x7a])
    expect(out.slice(0, 3)).toEqual([-14, 16, -0])
    expect(out.slice(15, 19)).toEqual([-4, 16, -14, -0])
    expect(out[31]).toBe(2)
  })

  it('keeps the smallest and the largest scale', () => {
    expect(values('Q4_0', [...le16(SMALLEST), ...zeros(16)])[0]).toBe(-(2 ** -21))
    expect(values('Q4_0', [...le16(LARGEST), ...zeros(16)])[0]).toBe(-8 * 65504)
  })
})

/** Scale factors 1 to 8 and minimum factors 60 to 63, 0, 1, 16, 48, packed by hand. */
const FACTORS = [
  ...[1, 2, 3, 4].map((low, j) => low | (([5, 6, 7, 8][j]! >> 4) << 6)),
  ...[60, 61, 62, 63].map((low, j) => low | (([0, 1, 16, 48][j]! >> 4) << 6)),
  ...[5, 6, 7, 8].map((low, j) => (low & 15) | (([0, 1, 16, 48][j]! & 15) << 4)),
]

describe('Q4_K', () => {
  it('is scale · factor · nibble − minimum · factor, sub-blocks pairwise in the nibbles of 32 bytes', () => {
    const nibbles = zeros(128)
    nibbles[0] = 0x31 // value 0 of sub-blocks 0 and 1
    nibbles[63] = 0x0f // value 31 of sub-block 2
    nibbles[96] = 0xf2 // value 0 of sub-blocks 6 and 7
    const out = values('Q4_K', [...le16(ONE), ...le16(MINUS_TWO), ...FACTORS, ...nibbles])
    expect(out[0]).toBe(1 * 1 + 2 * 60)
    expect(out[1]).toBe(120)
    expect(out[32]).toBe(2 * 3 + 2 * 61)
    expect(out[64 + 31]).toBe(3 * 15 + 2 * 62)
    expect(out[96]).toBe(2 * 63)
    expect(out[128]).toBe(0)
    expect(out[160]).toBe(2 * 1)
    expect(out[192]).toBe(7 * 2 + 2 * 16)
    expect(out[224]).toBe(8 * 15 + 2 * 48)
  })

  it('rounds once: neither the tiny nor the huge part is lost before the other is taken from it', () => {
    // 65504 · 63 · 15 − 2^-24 · 63 needs 51 bits and rounds to the former; 2^-24 alone stays.
    const full = [...le16(LARGEST), ...le16(SMALLEST), 63, 0, 0, 0, 63, 63, 0, 0, ...zeros(4)]
    const out = values('Q4_K', [...full, 0x0f, ...zeros(127)])
    expect(out[0]).toBe(65504 * 63 * 15)
    expect(out[1]).toBe(-63 * 2 ** -24)
  })
})

describe('Q5_K', () => {
  it('adds a fifth bit, bit s of byte i for value i of sub-block s', () => {
    const high = zeros(32)
    high[0] = 0b1000_0001
    high[31] = 0b0000_0100
    const nibbles = zeros(128)
    nibbles[0] = 0x01
    nibbles[96] = 0xf0
    const out = values('Q5_K', [...le16(ONE), ...le16(ONE), ...FACTORS, ...high, ...nibbles])
    expect(out[0]).toBe(1 * 17 - 60)
    expect(out[64 + 31]).toBe(3 * 16 - 62)
    expect(out[192]).toBe(-16)
    expect(out[224]).toBe(8 * 31 - 48)
  })
})

describe('Q6_K', () => {
  it('has four low bits, two high bits, and a signed scale for each 16 values; 32 means zero', () => {
    const low = zeros(128)
    const high = zeros(64)
    const scales = zeros(16).map((_, i) => i + 1)
    scales[15] = 0x80 // −128
    low[0] = 0x21 // runs 0 and 2 of the first half
    low[32 + 16] = 0x43 // runs 1 and 3, value 16
    low[64 + 63] = 0xf0 // runs 1 and 3 of the second half, value 31
    high[0] = 0b00_11_00_10 // runs 3, 2, 1, 0: 0, 3, 0, 2
    high[63] = 0b11_00_01_00
    const out = values('Q6_K', [...low, ...high, ...scales, ...le16(MINUS_TWO)])
    expect(out[0]).toBe(-2 * 1 * (1 + 32 - 32))
    expect(out[1]).toBe(-2 * 1 * -32)
    expect(out[32 + 16]).toBe(-2 * 4 * (3 - 32))
    expect(out[64]).toBe(-2 * 5 * (2 + 48 - 32))
    expect(out[96 + 16]).toBe(-2 * 8 * (4 - 32))
    expect(out[128 + 63]).toBe(-2 * 12 * (0 + 16 - 32))
    expect(out[255]).toBe(-2 * -128 * (15 + 48 - 32))
  })
})

/*
 * Second implementations, in the other style: they walk through a block as it is written, every step rounded to f32. That
 * they agree bit for bit shows both the layout and that the precision of the arithmetic does not matter.
 */
const f = Math.fround
const halfAt = (bytes: Uint8Array, at: number): number => fromF16(bytes[at]! | (bytes[at + 1]! << 8))

function walkFactors(packed: Uint8Array): [number, number][] {
  // As one number of 96 bits, read by bit positions.
  const bits = packed.reduceRight((all, byte) => (all << 8n) | BigInt(byte), 0n)
  const field = (at: number, width: number): number => Number((bits >> BigInt(at)) & ((1n << BigInt(width)) - 1n))
  return Array.from({ length: 8 }, (_, j): [number, number] =>
    j < 4
      ? [field(8 * j, 6), field(32 + 8 * j, 6)]
      : [
          field(64 + 8 * (j - 4), 4) + 16 * field(8 * (j - 4) + 6, 2),
          field(64 + 8 * (j - 4) + 4, 4) + 16 * field(32 + 8 * (j - 4) + 6, 2),
        ],
  )
}

const WALKS: Record<'Q8_0' | 'Q4_0' | 'Q4_K' | 'Q5_K' | 'Q6_K', (block: Uint8Array) => number[]> = {
  Q8_0: (block) => Array.from(new Int8Array(block.slice(2).buffer), (q) => f(halfAt(block, 0) * q)),
  Q4_0(block) {
    const quants = block.subarray(2)
    const scaled = (q: number): number => f(halfAt(block, 0) * (q - 8))
    return [...Array.from(quants, (byte) => scaled(byte % 16)), ...Array.from(quants, (byte) => scaled(byte >> 4))]
  },
  Q4_K(block) {
    const out: number[] = []
    const pairs = walkFactors(block.slice(4, 16))
    for (let j = 0, at = 16; j < 8; j += 2, at += 32) {
      const quants = block.subarray(at, at + 32)
      for (const [k, shift] of [0, 4].entries()) {
        const [scale, minimum] = pairs[j + k]!
        const d = f(halfAt(block, 0) * scale)
        const m = f(halfAt(block, 2) * minimum)
        for (const byte of quants) out.push(f(f(d * ((byte >> shift) & 15)) - m))
      }
    }
    return out
  },
  Q5_K(block) {
    const out: number[] = []
    const pairs = walkFactors(block.slice(4, 16))
    const high = block.subarray(16, 48)
    let mask = 1
    for (let j = 0, at = 48; j < 8; j += 2, at += 32) {
      const quants = block.subarray(at, at + 32)
      for (const [k, shift] of [0, 4].entries()) {
        const [scale, minimum] = pairs[j + k]!
        const d = f(halfAt(block, 0) * scale)
        const m = f(halfAt(block, 2) * minimum)
        quants.forEach((byte, l) => {
          out.push(f(f(d * (((byte >> shift) & 15) + (high[l]! & mask ? 16 : 0))) - m))
        })
        mask *= 2
      }
    }
    return out
  },
  Q6_K(block) {
    const out: number[] = []
    const scales = new Int8Array(block.slice(192, 208).buffer)
    const d = halfAt(block, 208)
    for (const part of [0, 1]) {
      const low = block.subarray(64 * part, 64 * part + 64)
      const high = block.subarray(128 + 32 * part, 160 + 32 * part)
      const quant = [
        (l: number) => (low[l]! & 15) | ((high[l]! & 3) << 4),
        (l: number) => (low[l + 32]! & 15) | (((high[l]! >> 2) & 3) << 4),
        (l: number) => (low[l]! >> 4) | (((high[l]! >> 4) & 3) << 4),
        (l: number) => (low[l + 32]! >> 4) | (((high[l]! >> 6) & 3) << 4),
      ]
      for (const [run, q] of quant.entries()) {
        for (let l = 0; l < 32; l++) {
          const scale = scales[8 * part + 2 * run + (l < 16 ? 0 : 1)]!
          out.push(f(f(d * scale) * (q(l) - 32)))
        }
      }
    }
    return out
  },
}

describe.each([
  ['Q8_0', [0]],
  ['Q4_0', [0]],
  ['Q4_K', [0, 2]],
  ['Q5_K', [0, 2]],
  ['Q6_K', [208]],
] as const)('%s against a second implementation in f32', (type, halves) => {
  it('gives the same bits for random blocks', () => {
    const blocks = 64
    const bytes = randomBlocks(type, [...halves], blocks, new Prng(halves.length + type.charCodeAt(1)))
    const size = GGML_BLOCKS[type].bytes
    const expected = Float32Array.from(
      Array.from({ length: blocks }, (_, b) => WALKS[type](bytes.slice(b * size, (b + 1) * size))).flat(),
    )
    const out = dequantise(type, bytes, blocks * GGML_BLOCKS[type].values)
    expect(new Uint32Array(out.buffer)).toEqual(new Uint32Array(expected.buffer))
  })
})

describe('quantised weights come back within half a step', () => {
  const prng = new Prng(4)
  const weights = Float32Array.from({ length: 32 * 16 }, () => prng.normal() * 0.02)

  it('Q8_0', () => {
    const bytes: number[] = []
    const steps: number[] = []
    for (let b = 0; b < weights.length; b += 32) {
      const block = weights.subarray(b, b + 32)
      const scale = floatToHalf(Math.max(...block.map(Math.abs)) / 127)
      steps.push(halfToFloat(scale))
      bytes.push(...le16(scale), ...Array.from(block, (x) => Math.round(x / halfToFloat(scale)) & 255))
    }
    values('Q8_0', bytes).forEach((value, i) => {
      // The scale is rounded to a half, so that the largest value may be up to 128 steps: one more than there are.
      expect(Math.abs(value - weights[i]!)).toBeLessThanOrEqual(steps[i >> 5]! * 0.51)
    })
  })

  it('Q4_0', () => {
    const bytes: number[] = []
    const steps: number[] = []
    for (let b = 0; b < weights.length; b += 32) {
      const block = weights.subarray(b, b + 32)
      const scale = floatToHalf(Math.max(...block.map(Math.abs)) / 7)
      const quants = Array.from(block, (x) => Math.round(x / halfToFloat(scale)) + 8)
      steps.push(halfToFloat(scale))
      bytes.push(...le16(scale), ...quants.slice(0, 16).map((q, i) => q | (quants[i + 16]! << 4)))
    }
    values('Q4_0', bytes).forEach((value, i) => {
      expect(Math.abs(value - weights[i]!)).toBeLessThanOrEqual(steps[i >> 5]! * 0.51)
    })
  })
})
