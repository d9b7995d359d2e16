import { describe, expect, it } from 'vitest'
import { adjustLogits } from '../../../src/kernels/reference/adjust-logits.js'
import { argmax } from '../../../src/kernels/reference/argmax.js'
import { keptTokens } from '../../../src/kernels/reference/sampling.js'
import { GREEDY, type Sampling } from '../../../src/runtime/sampling.js'
import { distribution, mostProbable } from '../../../src/runtime/speculation/distribution.js'
import { Spoken } from '../../../src/runtime/speculation/spoken.js'
import { Prng } from '../../fixtures/prng.js'

const VOCAB = 70
const random = new Prng(11)
const LOGITS = Float32Array.from({ length: VOCAB }, () => 6 * (random.next() / 2 ** 32) - 3)
// Equal ones are kept or dropped together.
LOGITS[5] = LOGITS[6] = LOGITS[7] = 2.5
const CONTEXT = [3, 5, 69]
const CHOSEN = [9, 9, 31]
const ALLOWED = Uint32Array.of(0xfffffffe, 0x7fffffff, 0xffffffff)

const SETTINGS: [string, Partial<Sampling>][] = [
  ['plain', {}],
  ['top-k', { topK: 6 }],
  ['top-k of all', { topK: VOCAB }],
  ['top-p', { topP: 0.7 }],
  ['min-p', { minP: 0.2 }],
  ['min-p of the best', { minP: 1 }],
  ['all filters', { topK: 20, topP: 0.8, minP: 0.1 }],
  ['repetition', { repetitionPenalty: 1.4 }],
  ['penalties', { presencePenalty: 0.7, frequencyPenalty: 0.9 }],
  ['biases', { logitBias: { 4: 5, 30: -80 } }],
  [
    'everything',
    { topK: 30, topP: 0.9, minP: 0.05, repetitionPenalty: 0.8, presencePenalty: -1, logitBias: { 31: 2 } },
  ],
]

/** The probabilities as the reference of the GPU's sampler keeps tokens. */
function reference(sampling: Sampling, allowed: Uint32Array | undefined) {
  const { topK, topP, minP, repetitionPenalty, temperature } = sampling
  const adjusted = adjustLogits(LOGITS, {
    bias: sampling.logitBias ?? {},
    count: (id) => CHOSEN.filter((token) => token === id).length,
    presence: sampling.presencePenalty ?? 0,
    frequency: sampling.frequencyPenalty ?? 0,
    ...(allowed && { allowed: (id: number) => ((allowed[id >> 5]! >>> (id & 31)) & 1) === 1 }),
  })
  const seen = (id: number) => CONTEXT.includes(id) || CHOSEN.includes(id)
  const penalised = adjusted.map((l, id) => (seen(id) ? (l > 0 ? l / repetitionPenalty : l * repetitionPenalty) : l))
  if (temperature === 0) return { best: argmax(penalised), shares: new Float64Array() }
  const filters = { ...(topK > 0 && { topK }), ...(topP < 1 && { topP }), ...(minP > 0 && { minP }) }
  const kept = keptTokens(adjusted, { temperature, ...filters, repetitionPenalty, seed: 0, counter: 0, seen })
  const weights = penalised.map((l, id) => (kept.includes(id) ? Math.exp(l / temperature) : 0))
  const total = weights.reduce((a, b) => a + b)
  return { best: argmax(penalised), shares: weights.map((weight) => weight / total) }
}

function choiceOf(sampling: Sampling, allowed: Uint32Array | undefined) {
  const spoken = new Spoken(sampling, VOCAB, CONTEXT)
  for (const token of CHOSEN) spoken.add(token)
  return spoken.choice(allowed)
}

describe('what tokens are drawn from', () => {
  it.each(SETTINGS)('%s', (_, settings) => {
    for (const temperature of [0.3, 1, 2]) {
      for (const allowed of [undefined, ALLOWED]) {
        const sampling = { ...GREEDY, ...settings, temperature }
        const shares = distribution(LOGITS, choiceOf(sampling, allowed))
        const expected = reference(sampling, allowed).shares
        for (const [id, share] of shares.entries()) expect(share, `${id}`).toBeCloseTo(expected[id]!, 12)
        expect(shares.reduce((a, b) => a + b)).toBeCloseTo(1, 12)
      }
    }
  })

  it.each(SETTINGS)('the most probable one: %s', (_, settings) => {
    const sampling = { ...GREEDY, ...settings }
    for (const allowed of [undefined, ALLOWED]) {
      expect(mostProbable(LOGITS, choiceOf(sampling, allowed))).toBe(reference(sampling, allowed).best)
    }
  })

  it('tells the sampler what it counts itself', () => {
    const sampling = { ...GREEDY, repetitionPenalty: 1.1, presencePenalty: 1 }
    const spoken = new Spoken(sampling, VOCAB, CONTEXT)
    for (const token of CHOSEN) spoken.add(token)
    const { seen, counts } = spoken.before(31)
    expect([...counts!].flatMap((count, id) => (count > 0 ? [[id, count]] : []))).toEqual([[9, 2]])
    const bits = [...seen!].flatMap((word, i) =>
      Array.from({ length: 32 }, (_, b) => ((word >>> b) & 1 ? [32 * i + b] : [])).flat(),
    )
    expect(bits).toEqual([3, 5, 9, 31, 69])
    expect(new Spoken(GREEDY, VOCAB, CONTEXT).before(3)).toEqual({})
  })
})
