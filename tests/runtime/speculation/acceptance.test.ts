import { describe, expect, it } from 'vitest'
import { draw, judge } from '../../../src/runtime/speculation/acceptance.js'

const LOTS = 2000
/** Lots in equal distances stand for all of them. */
const lots = Array.from({ length: LOTS }, (_, i) => (i + 0.5) / LOTS)

/** What `judge` makes of tokens drawn from q, with its own lots gone through. */
function outcome(p: Float64Array, q: Float64Array): Float64Array {
  const out = new Float64Array(p.length)
  for (const [drafted, share] of q.entries()) {
    if (share === 0) continue
    for (const accept of lots) {
      const first = judge(p, q, drafted, { accept, draw: 0.5 })
      if (first.accepted) {
        expect(first.token).toBe(drafted)
        out[drafted]! += share / LOTS
        continue
      }
      // What stands in its place depends on nothing but the other lot.
      for (let i = 0; i < 50; i++)
        out[judge(p, q, drafted, { accept, draw: (i + 0.5) / 50 }).token]! += share / LOTS / 50
    }
  }
  return out
}

describe('acceptance of drawn tokens', () => {
  it.each([
    ['alike', [0.5, 0.3, 0.2], [0.5, 0.3, 0.2]],
    ['other weights', [0.5, 0.3, 0.2], [0.2, 0.2, 0.6]],
    ['apart', [0.5, 0.5, 0, 0], [0, 0, 0.75, 0.25]],
    ['one that drafts leave out', [0.4, 0.4, 0.2], [0.5, 0.5, 0]],
    ['one that the model leaves out', [0.6, 0, 0.4], [0.3, 0.3, 0.4]],
    ['certain', [0, 1, 0], [0.9, 0.05, 0.05]],
  ])('is distributed as the model: %s', (_, model, draft) => {
    const p = Float64Array.from(model)
    const out = outcome(p, Float64Array.from(draft))
    for (const [token, share] of p.entries()) {
      // A draw in fifty steps is off by one of them at most, where something is drawn at all.
      expect(Math.abs(out[token]! - share)).toBeLessThan(0.02)
      if (share === 0) expect(out[token]).toBe(0)
    }
  })

  it('accepts with probability sum of min(p, q)', () => {
    const p = Float64Array.of(0.5, 0.3, 0.2)
    const q = Float64Array.of(0.2, 0.2, 0.6)
    const shares = lots.map((accept) =>
      q.reduce((sum, share, y) => sum + (judge(p, q, y, { accept, draw: 0 }).accepted ? share : 0), 0),
    )
    expect(shares.reduce((a, b) => a + b) / LOTS).toBeCloseTo(0.2 + 0.2 + 0.2, 3)
  })

  it('takes what the GPU drew though it is just left out of q', () => {
    expect(judge(Float64Array.of(0.5, 0.5), Float64Array.of(1, 0), 1, { accept: 0.99, draw: 0 })).toEqual({
      token: 1,
      accepted: true,
    })
    expect(judge(Float64Array.of(1, 0), Float64Array.of(1, 0), 1, { accept: 0, draw: 0.5 }).accepted).toBe(false)
  })

  it('draws by shares, and nothing that has none', () => {
    const weights = Float64Array.of(0, 1, 0, 3, 0)
    expect([0, 0.2, 0.25, 0.9, 1 - 2 ** -32].map((lot) => draw(weights, lot))).toEqual([1, 1, 3, 3, 3])
  })
})
