import { describe, expect, it } from 'vitest'
import { compareRun, type Expected, type Outcome } from './compare.js'

const EXPECTED: Expected = {
  logits: [1, 2, 3],
  greedy: [2, 1, 0, 2],
  prefillExecute: { attention: ['101', '011'], mlp: ['111', '010'] },
  decodeExecute: { attention: ['101', '011'], mlp: ['111', '010'] },
  marginsPrefill: [1, -1, 1, 1, 1, 1, -1, 1, 1, -1, 1, -1],
  marginsDecode: [1, -1, 1, 1, 1, 1, -1, 1, 1, -1, 1, -1],
  meanNll: 1.5,
  near: [],
  minGap: 0.5,
  minGapStep: 2,
}

function changed(change: (outcome: Outcome) => void): Outcome {
  const outcome: Outcome = structuredClone(EXPECTED)
  change(outcome)
  return outcome
}

const problems = (outcome: Outcome, expected: Partial<Expected> = {}) =>
  compareRun(outcome, { ...EXPECTED, ...expected }).problems.length

describe('comparison with golden runs', () => {
  it('accepts an equal run, also after JSON', () => {
    const outcome = JSON.parse(JSON.stringify(changed(() => {})))
    expect(compareRun(outcome, EXPECTED)).toEqual({ problems: [], allowed: [] })
  })

  it.each<[string, (o: Outcome) => void]>([
    ['a logit', (o) => o.logits.splice(1, 1, 2.0011)],
    ['a logit that is not a number', (o) => o.logits.splice(1, 1, Number.NaN)],
    ['a missing logit', (o) => o.logits.pop()],
    ['a token', (o) => o.greedy.splice(3, 1, 1)],
    ['a missing token', (o) => o.greedy.pop()],
    ['a bit of the prompt', (o) => o.prefillExecute!.mlp.splice(1, 1, '011')],
    ['a bit of the decode', (o) => o.decodeExecute!.attention.splice(0, 1, '100')],
    ['missing bits', (o) => delete o.decodeExecute],
    ['a missing column', (o) => o.decodeExecute!.attention.splice(0, 1, '10')],
    ['a margin of the prompt', (o) => o.marginsPrefill!.splice(4, 1, 1.0011)],
    ['a margin of the decode', (o) => o.marginsDecode!.splice(11, 1, -1.0011)],
    ['missing margins', (o) => delete o.marginsDecode],
    ['the loss', (o) => Object.assign(o, { meanNll: 1.5002 })],
    ['a missing loss', (o) => delete o.meanNll],
  ])('finds %s', (_, change) => {
    expect(problems(changed(change))).toBeGreaterThan(0)
  })

  it('allows rounding', () => {
    const outcome = changed((o) => {
      o.logits[0]! += 9e-4
      o.marginsDecode![3]! -= 9e-4
      o.meanNll! += 9e-5
    })
    expect(problems(outcome)).toBe(0)
  })

  it('allows another token only where the best two are close, and compares nothing behind it', () => {
    const outcome = changed((o) => {
      o.greedy.splice(2, 2, 1, 1)
      // Column 2 is fed the other token.
      o.decodeExecute!.attention.splice(0, 1, '100')
    })
    expect(problems(outcome)).toBeGreaterThan(0)
    expect(problems(outcome, { minGap: 1e-3 })).toBe(0)
    expect(problems(outcome, { minGap: 1e-3, minGapStep: 1 })).toBeGreaterThan(0)
    const before = { minGap: 1e-3 }
    outcome.decodeExecute!.attention.splice(0, 1, '001')
    expect(problems(outcome, before)).toBeGreaterThan(0)
  })

  it('allows a flip of a near decision in the prompt, and still compares what it cannot touch', () => {
    const near: Expected['near'] = [{ phase: 'prefill', layer: 0, module: 'mlp', position: 1 }]
    const flip = (o: Outcome) => {
      o.prefillExecute!.mlp[0] = '101'
      o.prefillExecute!.attention[1] = '000'
      o.logits[0] = 9
      o.greedy[0] = 0
      o.decodeExecute!.mlp[1] = '111'
    }
    expect(problems(changed(flip))).toBeGreaterThan(0)
    expect(compareRun(changed(flip), { ...EXPECTED, near })).toMatchObject({ problems: [], allowed: [/column 1/] })
    const wrong = (column: number) =>
      changed((o) => {
        flip(o)
        // Layer 0 of a later token depends on layer 0's input alone; layer 1 of an earlier one on earlier tokens.
        if (column === 2) o.prefillExecute!.attention[0] = '100'
        else o.prefillExecute!.attention[1] = '111'
      })
    expect(problems(wrong(2), { near })).toBe(1)
    expect(problems(wrong(0), { near })).toBe(1)
  })

  it('treats the MLP of the same token as touched where its router reads the state after attention', () => {
    const near: Expected['near'] = [{ phase: 'prefill', layer: 1, module: 'attention', position: 2 }]
    const outcome = changed((o) => {
      o.prefillExecute!.attention[1] = '010'
      o.prefillExecute!.mlp[1] = '011'
    })
    expect(problems(outcome, { near, postAttention: true })).toBe(0)
    expect(problems(outcome, { near })).toBe(1)
  })

  it('stops at an allowed flip in the decode', () => {
    const near: Expected['near'] = [{ phase: 'decode', layer: 1, module: 'mlp', position: 1 }]
    const outcome = changed((o) => {
      o.decodeExecute!.mlp[1] = '000'
      o.decodeExecute!.attention[0] = '100'
      o.greedy.splice(2, 2, 1, 1)
    })
    expect(problems(outcome, { near })).toBe(0)
    expect(problems(outcome)).toBeGreaterThan(0)
    outcome.greedy[1] = 0
    expect(problems(outcome, { near })).toBeGreaterThan(0)
  })
})
