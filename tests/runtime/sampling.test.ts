import { expect, it } from 'vitest'
import { sample } from '../../src/kernels/reference/sampling.js'
import type { Sampling } from '../../src/runtime/sampling.js'
import { dense } from '../../src/skip/dense.js'
import { randomIds } from '../fixtures/tiny-model.js'
import { describeRuntime, generate } from './support.js'

const SETTINGS: Partial<Sampling>[] = [
  { temperature: 1 },
  { temperature: 0.7, topK: 5 },
  { temperature: 1.3, topP: 0.8 },
  { temperature: 1.5, minP: 0.1 },
  { temperature: 0.9, topK: 20, topP: 0.9, minP: 0.02, repetitionPenalty: 1.3 },
  { temperature: 0, repetitionPenalty: 5 },
]

describeRuntime('sampling on the GPU', (bench) => {
  const ids = randomIds(25, 51)
  const run = (settings: Partial<Sampling>, tokens = 30) => generate(bench().sequence(dense), ids, tokens, settings)

  it.each(SETTINGS)('%o draws what the rule says from these logits', async (settings) => {
    for (let seed = 1; seed <= 12; seed++) {
      const { tokens, logits } = await run({ ...settings, seed }, 1)
      const { topK, ...rest } = settings
      const expected = sample(logits, {
        temperature: 0,
        ...rest,
        ...(topK && { topK }),
        seed,
        // The position of the token that is chosen.
        counter: ids.length,
        seen: (id) => ids.includes(id),
      })
      expect(tokens).toEqual([expected])
    }
  })

  it('counts generated tokens as seen, and draws other numbers at every position', async () => {
    const settings: Partial<Sampling> = { temperature: 0.9, topP: 0.95, repetitionPenalty: 1.4, seed: 8 }
    const { tokens } = await run(settings, 20)
    // Every token again, from the logits that a fresh prefill gives.
    for (let i = 1; i < 20; i++) {
      const before = [...ids, ...tokens.slice(0, i)]
      const { logits } = await generate(bench().sequence(dense), before, 1)
      const expected = sample(logits, {
        temperature: 0.9,
        topP: 0.95,
        repetitionPenalty: 1.4,
        seed: 8,
        counter: before.length,
        seen: (id) => before.includes(id),
      })
      expect(tokens[i]).toBe(expected)
    }
  })

  it('gives the same text for a seed and another for another', async () => {
    const settings = { temperature: 1, topK: 40, topP: 0.95, seed: 1 }
    const first = await run(settings)
    expect((await run(settings)).tokens).toEqual(first.tokens)
    expect((await run({ ...settings, stepsPerSubmit: 7 } as typeof settings)).tokens).toEqual(first.tokens)
    expect((await run({ ...settings, seed: 2 })).tokens).not.toEqual(first.tokens)
    expect((await run({ temperature: 0, seed: 2 })).tokens).toEqual((await run({ temperature: 0, seed: 3 })).tokens)
  })

  it('is greedy with top-k 1 and with a tiny nucleus', async () => {
    const greedy = await run({})
    expect((await run({ temperature: 2, topK: 1, seed: 5 })).tokens).toEqual(greedy.tokens)
    expect((await run({ temperature: 2, topP: 1e-6, seed: 5 })).tokens).toEqual(greedy.tokens)
    expect((await run({ temperature: 2, minP: 1, seed: 5 })).tokens).toEqual(greedy.tokens)
  })
})
