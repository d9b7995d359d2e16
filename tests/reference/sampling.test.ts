import { describe, expect, it } from 'vitest'
import { pcgHash } from '../../src/kernels/reference/random.js'
import { keptTokens, type SamplingOptions, sample } from '../../src/kernels/reference/sampling.js'

const plain: SamplingOptions = { temperature: 1, seed: 7, counter: 0 }

/** Logits whose softmax at temperature 1 is these probabilities. */
function logitsOf(...probabilities: number[]): number[] {
  return probabilities.map(Math.log)
}

describe('pcgHash', () => {
  it('agrees with the same formula in big integers', () => {
    const pcg = (v: bigint) => {
      const state = (v * 747796405n + 2891336453n) & 0xffffffffn
      const word = (((state >> ((state >> 28n) + 4n)) ^ state) * 277803737n) & 0xffffffffn
      return (word >> 22n) ^ word
    }
    const big = (seed: number, counter: number, index: number) => {
      const inner = pcg((BigInt(counter) + pcg(BigInt(seed))) & 0xffffffffn)
      return Number(pcg((BigInt(index) + inner) & 0xffffffffn))
    }
    for (const [seed, counter, index] of [
      [0, 0, 0],
      [1, 2, 3],
      [0xffffffff, 0xffffffff, 0xffffffff],
      [123456789, 40, 151935],
    ] as const) {
      expect(pcgHash(seed, counter, index)).toBe(big(seed, counter, index))
    }
  })
})

describe('keptTokens', () => {
  it('keeps everything without filters', () => {
    expect(keptTokens([3, 1, 2], plain)).toEqual([0, 1, 2])
  })

  it('keeps the k largest, and what ties with the last of them', () => {
    expect(keptTokens([1, 5, 3, 3, 0], { ...plain, topK: 1 })).toEqual([1])
    expect(keptTokens([1, 5, 3, 3, 0], { ...plain, topK: 2 })).toEqual([1, 2, 3])
    expect(keptTokens([1, 5, 3, 3, 0], { ...plain, topK: 9 })).toEqual([0, 1, 2, 3, 4])
  })

  it('keeps the smallest set that has the mass p, and what ties with its last member', () => {
    const logits = logitsOf(0.05, 0.5, 0.15, 0.15, 0.15)
    expect(keptTokens(logits, { ...plain, topP: 0 })).toEqual([1])
    expect(keptTokens(logits, { ...plain, topP: 0.49 })).toEqual([1])
    expect(keptTokens(logits, { ...plain, topP: 0.51 })).toEqual([1, 2, 3, 4])
    expect(keptTokens(logits, { ...plain, topP: 1 })).toEqual([0, 1, 2, 3, 4])
  })

  it('takes the mass p of what top-k left', () => {
    const logits = logitsOf(0.3, 0.2, 0.1, 0.4)
    expect(keptTokens(logits, { ...plain, topP: 0.6 })).toEqual([0, 3])
    expect(keptTokens(logits, { ...plain, topP: 0.6, topK: 2 })).toEqual([0, 3])
    expect(keptTokens(logits, { ...plain, topP: 0.57, topK: 2 })).toEqual([3])
  })

  it('keeps what has a share of the best probability', () => {
    expect(keptTokens(logitsOf(0.6, 0.29, 0.11), { ...plain, minP: 0.4 })).toEqual([0, 1])
    expect(keptTokens(logitsOf(0.6, 0.29, 0.11), { ...plain, minP: 1 })).toEqual([0])
  })

  it('filters after the temperature', () => {
    expect(keptTokens(logitsOf(0.6, 0.29, 0.11), { ...plain, minP: 0.4, temperature: 2 })).toEqual([0, 1, 2])
  })

  it('lowers the logits of seen tokens first, whatever their sign', () => {
    const seen = (id: number) => id !== 1
    const options = { ...plain, topK: 1, seen, repetitionPenalty: 2 }
    expect(keptTokens([3, 2, 1], options)).toEqual([1])
    expect(keptTokens([-1, -1.5, -3], options)).toEqual([1])
  })
})

describe('sample', () => {
  it('is greedy at temperature 0, after the repetition penalty', () => {
    const greedy = { ...plain, temperature: 0 }
    expect(sample([1, 4, 4, 3], greedy)).toBe(1)
    expect(sample([1, 4, 2.5, 3], { ...greedy, repetitionPenalty: 2, seen: (id) => id === 1 })).toBe(3)
  })

  it('draws from the softmax of the kept tokens', () => {
    const logits = logitsOf(0.1, 0.2, 0.3, 0.4)
    const options = { ...plain, topK: 3, temperature: 0.5 }
    const draws = 20000
    const counts = [0, 0, 0, 0]
    for (let counter = 0; counter < draws; counter++) counts[sample(logits, { ...options, counter })]!++
    // Temperature 0.5 squares the probabilities: 4 : 9 : 16 of 29. Three standard deviations are about 0.011.
    expect(counts[0]).toBe(0)
    for (const [i, weight] of [4, 9, 16].entries())
      expect(Math.abs(counts[i + 1]! / draws - weight / 29)).toBeLessThan(0.011)
  })

  it('depends on seed and counter alone', () => {
    const logits = new Array<number>(50).fill(0)
    const draw = (seed: number, counter: number) => sample(logits, { ...plain, seed, counter })
    const tokens = Array.from({ length: 8 }, (_, counter) => draw(3, counter))
    expect(Array.from({ length: 8 }, (_, counter) => draw(3, counter))).toEqual(tokens)
    expect(Array.from({ length: 8 }, (_, counter) => draw(4, counter))).not.toEqual(tokens)
    expect(new Set(tokens).size).toBeGreaterThan(1)
  })
})
