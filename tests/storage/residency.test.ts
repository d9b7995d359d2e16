import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { betterPieces, bytesPerToken, choosePieces, type Piece } from '../../src/storage/residency.js'

const pieces = fc.array(
  fc.record({ bytes: fc.integer({ min: 1, max: 100 }), runs: fc.double({ min: 0, max: 1, noNaN: true }) }),
  { maxLength: 12 },
)
const bytesOf = (kept: Iterable<Piece>) => [...kept].reduce((sum, { bytes }) => sum + bytes, 0)

describe('what stays in GPU memory', () => {
  it('fits, and leaves no room that a piece would fit into', () => {
    fc.assert(
      fc.property(pieces, fc.nat(400), (all, room) => {
        const kept = choosePieces(all, room)
        const left = room - bytesOf(kept)
        expect(left).toBeGreaterThanOrEqual(0)
        for (const piece of all) if (!kept.has(piece)) expect(piece.bytes).toBeGreaterThan(left)
      }),
      { seed: 1 },
    )
  })

  it('of pieces of one size, is what moves the fewest bytes', () => {
    fc.assert(
      fc.property(pieces, fc.nat(12), (all, count) => {
        const same = all.map(({ runs }) => ({ bytes: 7, runs }))
        const kept = choosePieces(same, 7 * count)
        const stays = [...same].sort((a, b) => b.runs - a.runs).slice(0, count)
        expect(bytesPerToken(same, kept)).toBeCloseTo(bytesPerToken(same, new Set(stays)), 9)
      }),
      { seed: 2 },
    )
  })

  it('of equals, is the first', () => {
    const equal = [1, 2, 3].map((id) => ({ id, bytes: 10, runs: 0.5 }))
    expect([...choosePieces(equal, 25)].map(({ id }) => id)).toEqual([1, 2])
  })

  it('changes where that pays within the next tokens, and only there', () => {
    const often = { bytes: 100, runs: 0.6 }
    const hardly = { bytes: 100, runs: 0.4 }
    expect(betterPieces([often, hardly], new Set([hardly]), 100)).toEqual(new Set([often]))
    expect(betterPieces([{ ...often, runs: 0.41 }, hardly], new Set([hardly]), 100)).toBeUndefined()
    expect(betterPieces([often, hardly], new Set([often]), 100)).toBeUndefined()
    expect(betterPieces([often, hardly], new Set<Piece>(), 100)).toEqual(new Set([often]))
  })
})
