import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { utf8Sequences } from '../../src/grammar/utf8.js'

const EDGES = [
  0, 0x7f, 0x80, 0xbf, 0xc0, 0x7ff, 0x800, 0xfff, 0x1000, 0xd7ff, 0xe000, 0xffff, 0x10000, 0x3ffff, 0x40000, 0x10ffff,
]

describe('utf8Sequences', () => {
  it('matches the characters of the range, each once, and no others', () => {
    const codePoint = fc.oneof(
      fc.nat(0x10ffff),
      fc.nat(0x1000),
      fc
        .tuple(fc.constantFrom(...EDGES), fc.integer({ min: -2, max: 2 }))
        .map(([edge, by]) => Math.min(Math.max(edge + by, 0), 0x10ffff)),
    )
    fc.assert(
      fc.property(codePoint, codePoint, fc.array(codePoint, { minLength: 10, maxLength: 30 }), (a, b, others) => {
        const [from, to] = [Math.min(a, b), Math.max(a, b)]
        const sequences = utf8Sequences(from, to)
        const near = [from - 1, from, from + 1, to - 1, to, to + 1, ...EDGES, ...others]
        for (const char of near) {
          if (char < 0 || char > 0x10ffff || (char >= 0xd800 && char <= 0xdfff)) continue
          const bytes = new TextEncoder().encode(String.fromCodePoint(char))
          const found = sequences.filter(
            (ranges) =>
              ranges.length === bytes.length && ranges.every(([low, high], i) => low <= bytes[i]! && bytes[i]! <= high),
          )
          expect([char, found.length]).toEqual([char, char >= from && char <= to ? 1 : 0])
        }
        // As many in all as there are characters.
        const count = sequences.reduce(
          (sum, ranges) => sum + ranges.reduce((n, [low, high]) => n * (high - low + 1), 1),
          0,
        )
        const surrogates = Math.max(0, Math.min(to, 0xdfff) - Math.max(from, 0xd800) + 1)
        expect(count).toBe(to - from + 1 - surrogates)
      }),
      { numRuns: 1000 },
    )
  })

  it('has nothing for surrogates', () => {
    expect(utf8Sequences(0xd800, 0xdfff)).toEqual([])
  })
})
