import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bfloatToFloat, floatToHalf, halfToFloat, toFloat32 } from '../../src/formats/half.js'

/** The definition of binary16, in plain arithmetic. */
function halfByDefinition(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

const patterns = (count: number): number[] => Array.from({ length: count }, (_, bits) => bits)

describe('halfToFloat', () => {
  it('agrees with the definition for all 65536 patterns', () => {
    expect(patterns(0x10000).filter((bits) => !Object.is(halfToFloat(bits), halfByDefinition(bits)))).toEqual([])
  })
})

describe('floatToHalf', () => {
  it('gives back every half', () => {
    const numbers = patterns(0x10000).filter((bits) => !Number.isNaN(halfToFloat(bits)))
    expect(numbers.filter((bits) => floatToHalf(halfToFloat(bits)) !== bits)).toEqual([])
  })

  it('rounds to the nearest half, ties to even', () => {
    // Between any two neighbours: the midpoint goes to the even one, and a hair to either side decides.
    const wrong = patterns(0x7bff).filter((bits) => {
      const [low, high] = [halfByDefinition(bits), halfByDefinition(bits + 1)]
      const middle = (low + high) / 2
      const hair = (high - low) / 1024
      return (
        floatToHalf(middle) !== (bits % 2 === 0 ? bits : bits + 1) ||
        floatToHalf(middle - hair) !== bits ||
        floatToHalf(-(middle + hair)) !== (0x8000 | (bits + 1))
      )
    })
    expect(wrong).toEqual([])
  })

  it('overflows to infinity and keeps NaN', () => {
    expect(floatToHalf(65519)).toBe(0x7bff)
    expect(floatToHalf(65520)).toBe(0x7c00)
    expect(floatToHalf(-1e30)).toBe(0xfc00)
    expect(halfToFloat(floatToHalf(Number.NaN))).toBeNaN()
    expect(floatToHalf(1e-40)).toBe(0)
    expect(floatToHalf(-0)).toBe(0x8000)
  })
})

describe('toFloat32', () => {
  it('decodes each dtype at any alignment into memory of its own', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 0xffff })), fc.integer({ min: 0, max: 7 }), (words, offset) => {
        const bytes = new Uint8Array(offset + words.length * 2)
        words.forEach((word, i) => {
          new DataView(bytes.buffer).setUint16(offset + 2 * i, word, true)
        })
        const view = bytes.subarray(offset)
        expect([...toFloat32(view, 'F16')]).toEqual(words.map(halfToFloat))
        expect([...toFloat32(view, 'BF16')]).toEqual(words.map(bfloatToFloat))
      }),
    )
    const bytes = new Uint8Array([9, 0, 0, 0x80, 0x3f])
    const values = toFloat32(bytes.subarray(1), 'F32')
    bytes.fill(0)
    expect([...values]).toEqual([1])
  })

  it('reads bfloat16 as the upper half of an f32', () => {
    expect(bfloatToFloat(0x3fc0)).toBe(1.5)
    expect(bfloatToFloat(0xff80)).toBe(Number.NEGATIVE_INFINITY)
  })

  it('refuses half an element', () => {
    expect(() => toFloat32(new Uint8Array(3), 'F16')).toThrow(expect.objectContaining({ code: 'bad-file' }))
    expect(() => toFloat32(new Uint8Array(6), 'F32')).toThrow(expect.objectContaining({ code: 'bad-file' }))
  })
})
