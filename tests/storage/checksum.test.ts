import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checksum } from '../../src/storage/checksum.js'

const bytes = fc.uint8Array({ minLength: 1, maxLength: 200 }).map((array) => new Uint8Array(array))

describe('checksum', () => {
  it('changes with any one byte', () => {
    fc.assert(
      fc.property(bytes, fc.nat(), fc.integer({ min: 1, max: 255 }), (data, at, by) => {
        const changed = data.slice()
        changed[at % data.length]! ^= by
        expect(checksum(changed)).not.toBe(checksum(data))
      }),
    )
  })

  it('changes where two signs flip, words change places, or bytes become zero', () => {
    const data = Uint8Array.from({ length: 96 }, (_, i) => 7 * i + 1)
    const flipped = data.map((byte, i) => (i === 3 || i === 35 ? byte ^ 0x80 : byte))
    const exchanged = data.slice()
    exchanged.copyWithin(0, 16, 32)
    exchanged.set(data.subarray(0, 16), 16)
    const all = [data, flipped, exchanged, new Uint8Array(96), data.subarray(0, 80)].map(checksum)
    expect(new Set(all).size).toBe(all.length)
  })

  it('is the same wherever the bytes lie in memory', () => {
    fc.assert(
      fc.property(bytes, fc.integer({ min: 0, max: 9 }), (data, offset) => {
        const moved = new Uint8Array(data.length + offset)
        moved.set(data, offset)
        expect(checksum(moved.subarray(offset))).toBe(checksum(data))
      }),
    )
  })

  it('is four lanes of xxHash32', () => {
    // One round each from xxHash32's start values: rotl(lane + word * PRIME32_2, 13) * PRIME32_1.
    const lane = (start: number, word: number) => {
      const mixed = (start + Math.imul(word, 0x85ebca77)) >>> 0
      return Math.imul((mixed << 13) | (mixed >>> 19), 0x9e3779b1) >>> 0
    }
    const starts = [0x9e3779b1, 0x85ebca77, 0, -0x9e3779b1]
    const words = [1, 2, 3, 4]
    const expected = starts.map((start, i) => lane(lane(start, words[i]!), 0).toString(16).padStart(8, '0')).join('')
    expect(checksum(new Uint8Array(Uint32Array.from(words).buffer))).toBe(expected)
  })
})
