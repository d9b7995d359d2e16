import { describe, expect, it } from 'vitest'
import {
  bestLength,
  between,
  type Costs,
  speedup,
  tokensPerRound,
} from '../../../src/runtime/speculation/cost-model.js'
import { DraftLength } from '../../../src/runtime/speculation/draft-length.js'

const costs = (acceptance: number, draft: number, verify: (k: number) => number = () => 1): Costs => ({
  acceptance,
  draft,
  verify,
})

describe('the cost model', () => {
  // docs/skip-systems.md, 15.2.
  it.each([
    [0.55, 0.8, 2, 1.16],
    [0.55, 0.9, 2, 1.29],
    [0.55, 0.95, 4, 1.41],
    [0.25, 0.8, 4, 1.68],
    [0.25, 0.9, 6, 2.09],
  ])('a draft of %f, accepted %f, %i at a time', (draft, acceptance, k, expected) => {
    expect(speedup(costs(acceptance, draft), k)).toBeCloseTo(expected, 2)
  })

  it('counts tokens as they come', () => {
    // Every way that a round of three can go.
    const alpha = 0.6
    const lengths = [0, 1, 2, 3].map((n) => alpha ** n * (n < 3 ? 1 - alpha : 1) * (n + 1))
    expect(tokensPerRound(alpha, 3)).toBeCloseTo(
      lengths.reduce((a, b) => a + b),
      12,
    )
    expect(tokensPerRound(1, 3)).toBe(4)
    expect(tokensPerRound(0, 3)).toBe(1)
  })

  it('chooses the fastest length', () => {
    expect(bestLength(costs(1, 0.1), 8)).toBe(8)
    expect(
      bestLength(
        costs(0.7, 0.55, () => 1.5),
        8,
      ),
    ).toBe(0)
    expect(bestLength(costs(0, 0.1), 8)).toBe(0)
    const one = costs(0.8, 0.25, (k) => 1 + 0.1 * k)
    const all = Array.from({ length: 9 }, (_, k) => speedup(one, k))
    expect(all[bestLength(one, 8)]).toBe(Math.max(...all))
    // More rows than a tile has take another one.
    expect(
      bestLength(
        costs(0.95, 0.2, (k) => (k < 4 ? 1 : 3)),
        8,
      ),
    ).toBe(3)
  })

  it('guesses what verification costs at lengths that were not tried', () => {
    expect(between(new Map(), 5)).toBe(1)
    const measured = new Map([
      [8, 4],
      [4, 2],
    ])
    expect([0, 2, 4, 6, 8, 12].map((k) => between(measured, k))).toEqual([1, 1.5, 2, 3, 4, 4])
  })
})

describe('the length of drafts', () => {
  /** Rounds on a device of such costs, in ms; what was drafted, and how many tokens were decoded without a draft. */
  function simulate(o: {
    dense: number
    draft: number
    verify: (k: number) => number
    accepted: (k: number) => number
    tokens: number
  }) {
    const length = new DraftLength()
    const drafts: number[] = []
    let undrafted = 0
    let ms = 0
    for (let tokens = 0; tokens < o.tokens; ) {
      if (length.undrafted > 0) {
        const steps = Math.min(16, length.undrafted)
        length.decoded(steps, steps * o.dense)
        undrafted += steps
        tokens += steps
        ms += steps * o.dense
        continue
      }
      const k = length.length
      const round = { length: k, accepted: o.accepted(k), draftMs: k * o.draft, verifyMs: o.verify(k) }
      length.verified(round)
      drafts.push(k)
      tokens += round.accepted + 1
      ms += round.draftMs + round.verifyMs
    }
    return { drafts, undrafted, speedup: (o.tokens * o.dense) / ms }
  }

  it('grows where drafts are cheap and right', () => {
    const run = simulate({ dense: 10, draft: 2, verify: (k) => 10 + 0.2 * k, accepted: (k) => k, tokens: 400 })
    expect(run.drafts.slice(-20)).toEqual(Array(20).fill(8))
    expect(run.speedup).toBeGreaterThan(2)
  })

  it('stays short of what costs another tile', () => {
    const run = simulate({ dense: 10, draft: 3, verify: (k) => (k < 6 ? 11 : 40), accepted: (k) => k, tokens: 600 })
    expect(run.drafts.slice(-20).every((k) => k === 4 || k === 5)).toBe(true)
  })

  it('decodes densely where drafts lose, and tries again more and more rarely', () => {
    const run = simulate({ dense: 10, draft: 6, verify: () => 30, accepted: () => 1, tokens: 2000 })
    expect(run.undrafted).toBeGreaterThan(1900)
    expect(run.speedup).toBeGreaterThan(0.95)
    expect(run.drafts.length).toBeGreaterThan(10)
  })

  it('begins again where drafts become right', () => {
    let rounds = 0
    const accepted = (k: number) => (rounds++ < 3 ? 0 : k)
    const run = simulate({ dense: 10, draft: 2, verify: () => 12, accepted, tokens: 4000 })
    expect(run.drafts.at(-1)).toBe(8)
  })

  it('does not believe one slow round', () => {
    let rounds = 0
    const run = simulate({
      dense: 10,
      draft: 2,
      verify: () => (rounds++ === 12 ? 500 : 12),
      accepted: (k) => k,
      tokens: 300,
    })
    expect(run.drafts.slice(13)).toEqual(Array(run.drafts.length - 13).fill(8))
  })
})
