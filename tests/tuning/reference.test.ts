/** The gradients that the kernels are compared with, against finite differences of the functions that inference is compared with. */
import { describe, expect, it } from 'vitest'
import { NO_TARGET } from '../../shaders/cross-entropy-slice.wgsl.js'
import { attention } from '../../src/kernels/reference/attention.js'
import { linear } from '../../src/kernels/reference/linear.js'
import { nll } from '../../src/kernels/reference/nll.js'
import { rmsNorm } from '../../src/kernels/reference/rms-norm.js'
import { rope } from '../../src/kernels/reference/rope.js'
import { swiglu } from '../../src/kernels/reference/swiglu.js'
import { ropeTable } from '../../src/model/rope.js'
import { adamW } from '../../src/tuning/reference/adamw.js'
import { attentionBackward } from '../../src/tuning/reference/attention-backward.js'
import {
  channelGates,
  channelGatesApply,
  channelGatesBackward,
  keepRanked,
  squaresPenalty,
} from '../../src/tuning/reference/channel-gates.js'
import { crossEntropy } from '../../src/tuning/reference/cross-entropy.js'
import { gatedBackward, ratePenalty, sampleGates, sampleGatesBackward } from '../../src/tuning/reference/gates.js'
import { linearBackward } from '../../src/tuning/reference/linear-backward.js'
import { product } from '../../src/tuning/reference/product.js'
import { rmsNormBackward } from '../../src/tuning/reference/rms-norm-backward.js'
import { ropeBackward } from '../../src/tuning/reference/rope-backward.js'
import { swigluBackward } from '../../src/tuning/reference/swiglu-backward.js'
import { loadOps, sharedPresent } from '../fixtures/golden.js'
import { Prng } from '../fixtures/prng.js'

const STEP = 1e-5

const prng = new Prng(8)
const random = (count: number) => Float64Array.from({ length: count }, () => prng.normal())
const dot = (a: ArrayLike<number>, b: ArrayLike<number>) => Array.from(a).reduce((sum, v, i) => sum + v * b[i]!, 0)

/** Compares a gradient with central differences of `loss` in every value of `x`. */
function expectGradient(gradient: ArrayLike<number>, x: Float64Array, loss: () => number): void {
  expect(gradient.length).toBe(x.length)
  for (let i = 0; i < x.length; i++) {
    const kept = x[i]!
    x[i] = kept + STEP
    const above = loss()
    x[i] = kept - STEP
    const below = loss()
    x[i] = kept
    expect(gradient[i], `entry ${i}`).toBeCloseTo((above - below) / (2 * STEP), 7)
  }
}

describe('gradients equal finite differences', () => {
  it('cross-entropy, some rows without a target', () => {
    const [d, vocab, scale] = [3, 7, 0.3]
    const state = random(4 * d)
    const head = random(vocab * d)
    const targets = [2, NO_TARGET, 0, 6]
    const with_ = [0, 2, 3]
    const losses = () =>
      nll(
        linear(state, head, 4, d, vocab),
        targets.map((t) => (t === NO_TARGET ? 0 : t)),
        4,
        vocab,
      )
    const loss = () => scale * with_.reduce((sum, r) => sum + losses()[r]!, 0)
    const result = crossEntropy(state, head, targets, scale, d)
    expect(result.loss).toBeCloseTo(loss(), 12)
    expectGradient(result.dState, state, loss)
  })

  it('RMSNorm', () => {
    const [x, weight, dy] = [random(10), random(5), random(10)]
    expectGradient(rmsNormBackward(x, weight, dy, 0.1, 2, 5), x, () => dot(dy, rmsNorm(x, weight, 0.1, 2, 5)))
  })

  it('linear', () => {
    const [x, weight, dy] = [random(6), random(15), random(10)]
    expectGradient(linearBackward(dy, weight, 2, 5, 3), x, () => dot(dy, linear(x, weight, 2, 3, 5)))
    // The gradient of weights is a product too.
    const dWeight = product({ values: dy, row: 1, column: 5 }, { values: x, row: 3, column: 1 }, 5, 3, 2)
    expectGradient(dWeight, weight, () => dot(dy, linear(x, weight, 2, 3, 5)))
  })

  it('RoPE', () => {
    const table = ropeTable({ kind: 'default', theta: 100 }, 6, 3, 2)
    const [x, dy] = [random(24), random(24)]
    expectGradient(ropeBackward(dy, table, 2, 2, 6), x, () => dot(dy, rope(x, table, 2, 2, 6)))
  })

  it('attention of two sequences with shared keys', () => {
    const shape = { heads: 4, kvHeads: 2, headDim: 3, length: 3 }
    const [q, k, v, dy] = [random(72), random(36), random(36), random(72)]
    const forward = () =>
      [0, 1].flatMap((b) => {
        const of = (values: Float64Array) => values.subarray((b * values.length) / 2, ((b + 1) * values.length) / 2)
        return [...attention(of(q), of(k), of(v), [0, 1, 2], 4, 2, 3)]
      })
    const { y, dq, dk, dv } = attentionBackward(q, k, v, dy, shape)
    y.forEach((value, i) => {
      expect(value).toBeCloseTo(forward()[i]!, 12)
    })
    for (const [gradient, x] of [
      [dq, q],
      [dk, k],
      [dv, v],
    ] as const)
      expectGradient(gradient, x, () => dot(dy, forward()))
  })

  it('SwiGLU', () => {
    const [gate, up, dy] = [random(9), random(9), random(9)]
    const { dGate, dUp } = swigluBackward(gate, up, dy)
    expectGradient(dGate, gate, () => dot(dy, swiglu(gate, up)))
    expectGradient(dUp, up, () => dot(dy, swiglu(gate, up)))
  })

  it('gates: the soft part backward, the hard part forward', () => {
    const [logits, noise, dGates] = [random(10), random(10), random(5)]
    const { gates, soft } = sampleGates(logits, noise, 2.5)
    expect(new Set(gates)).toEqual(new Set([0, 1]))
    gates.forEach((gate, r) => {
      expect(gate).toBe(Math.round(soft[r]!))
    })
    const gradient = sampleGatesBackward(dGates, soft, 2.5)
    expectGradient(gradient, logits, () => dot(dGates, sampleGates(logits, noise, 2.5).soft))
  })

  it('a gated sublayer', () => {
    const [branch, gates, dy] = [random(12), random(3), random(12)]
    const y = () => branch.map((value, i) => gates[Math.floor(i / 4)]! * value)
    const { dBranch, dGates } = gatedBackward(branch, gates, dy)
    expectGradient(dBranch, branch, () => dot(dy, y()))
    expectGradient(dGates, gates, () => dot(dy, y()))
  })

  it('a sublayer that is gated by channel, of which rows are skipped, and the penalty on its gates', () => {
    const [x, v, bias, branch, dy] = [random(12), random(12), random(4), random(12), random(12)]
    const { gates, scores } = channelGates(v, bias)
    const kept = keepRanked(scores, 2 / 3)
    expect([...kept].sort()).toEqual([0, 1, 1])
    const loss = () => {
      const own = channelGates(v, bias).gates
      // Those of another sublayer count in the mean too.
      return dot(dy, channelGatesApply(x, kept, own, branch)) + squaresPenalty([...own, ...gates], 8)
    }
    const { dBranch, dv } = channelGatesBackward(dy, kept, gates, branch, { coefficient: 8, count: 24 })
    expectGradient(dBranch, branch, loss)
    expectGradient(dy, x, loss)
    // The penalty reaches the other sublayer's gates by themselves.
    expectGradient(dv, v, loss)
    const skipped = kept.indexOf(0)
    expect(dBranch.subarray(4 * skipped, 4 * skipped + 4).every((value) => value === 0)).toBe(true)
    expect(dv[4 * skipped]).toBeGreaterThan(0)
  })

  it('the penalty on the rate, on either side of the target', () => {
    const gates = random(6)
    for (const target of [-3, 3]) {
      const { dGate } = ratePenalty(gates, target, 8)
      expectGradient(Array(6).fill(dGate), gates, () => ratePenalty(gates, target, 8).loss)
    }
  })
})

describe('rows that are kept', () => {
  it('are those with the highest scores, of equal ones the later, and as many as come nearest to the rate', () => {
    const scores = [0.5, 0.25, 0.5, 0.75, 0.5]
    expect([...keepRanked(scores, 1)]).toEqual([1, 1, 1, 1, 1])
    expect([...keepRanked(scores, 0.8)]).toEqual([1, 0, 1, 1, 1])
    expect([...keepRanked(scores, 0.65)]).toEqual([0, 0, 1, 1, 1])
    expect([...keepRanked(scores, 0.4)]).toEqual([0, 0, 0, 1, 1])
    expect([...keepRanked(scores, 0)]).toEqual([0, 0, 0, 0, 0])
    expect([...keepRanked([], 0.5)]).toEqual([])
  })
})

describe('AdamW', () => {
  it('shortens a long gradient', () => {
    const options = { learningRate: 0.1, weightDecay: 0, beta1: 0.9, beta2: 0.999, eps: 1e-8, maxNorm: 1 }
    const state = { values: random(2), first: new Float64Array(2), second: new Float64Array(2) }
    adamW([30, 40], state, 1, options)
    expect(state.first[0]).toBeCloseTo(0.06, 6)
    expect(state.first[1]).toBeCloseTo(0.08, 6)
  })

  it.skipIf(!sharedPresent)('equals the golden data after three steps', () => {
    const cases = loadOps().filter(({ op }) => op === 'adamw')
    expect(cases.length).toBeGreaterThan(0)
    for (const c of cases) {
      const { lr, weight_decay, beta1, beta2, eps } = c.params as Record<string, number>
      const values = Float64Array.from(c.floats('param'))
      const n = values.length
      const state = { values, first: new Float64Array(n), second: new Float64Array(n) }
      const options = {
        learningRate: lr!,
        weightDecay: weight_decay!,
        beta1: beta1!,
        beta2: beta2!,
        eps: eps!,
        maxNorm: 1e9,
      }
      for (let t = 1; t <= 3; t++) adamW(c.floats('grads').subarray((t - 1) * n, t * n), state, t, options)
      for (const [actual, name] of [
        [values, 'param_after'],
        [state.first, 'm_after'],
        [state.second, 'v_after'],
      ] as const) {
        c.floats(name).forEach((expected, i) => {
          expect(actual[i]).toBeCloseTo(expected, 5)
        })
      }
    }
  })
})
