import { describe, expect, it } from 'vitest'
import { litestage } from '../../src/skip/litestage.js'
import { searchStages } from '../../src/study/stage-search.js'
import { answerStages, rambles } from '../../src/study/staged-task.js'
import { profileOf } from '../fixtures/profile.js'
import { randomIds, tinyModel } from '../fixtures/tiny-model.js'
import { reference } from '../runtime/support.js'
import { describeSdk, expectError } from './support.js'

describe('the search for budgets', () => {
  /** Of a task whose stages take so long, and lose so much accuracy, with each sublayer that is left out. */
  const task = (ms: readonly number[], saved: readonly number[], loss: readonly number[], most = 4) => {
    const measured: string[] = []
    const measure = async (budgets: readonly number[]) => {
      measured.push(budgets.join('/'))
      const lost = budgets.reduce((sum, budget, i) => sum + budget * loss[i]!, 0)
      // A weaker model writes more: the third sublayer saves nothing.
      return {
        accuracy: 0.8 - lost,
        stageMs: budgets.map((budget, i) => ms[i]! - saved[i]! * budget + (budget > 2 ? 50 : 0)),
      }
    }
    return { measured, search: (epsilon: number) => searchStages({ stages: ms.length, most, epsilon, measure }) }
  }

  it('takes the slowest stage first, keeps the fastest budget that is right often enough, and goes on from it', async () => {
    const { measured, search } = task([10, 100, 40], [1, 10, 10], [0.001, 0.01, 0.04])
    const { best, full, tried } = await search(0.05)
    expect(full).toMatchObject({ budgets: [0, 0, 0], accuracy: 0.8 })
    expect(measured.slice(0, 6)).toEqual(['0/0/0', '0/1/0', '0/2/0', '0/3/0', '0/4/0', '0/2/1'])
    expect(measured.slice(9)).toEqual(['1/2/0', '2/2/0', '3/2/0', '4/2/0'])
    expect(best.budgets).toEqual([2, 2, 0])
    expect(best.accuracy).toBeGreaterThanOrEqual(0.75)
    expect(tried.length).toBe(13)
  })

  it('keeps the full model where nothing is right often enough, or nothing is faster', async () => {
    expect((await task([10, 20], [1, 1], [0.1, 0.1]).search(0.05)).best.budgets).toEqual([0, 0])
    expect((await task([10, 20], [0, 0], [0, 0]).search(0.05)).best.budgets).toEqual([0, 0])
    await expectError(task([], [], []).search(0), 'bad-option')
  })
})

it('an answer rambles where its last probabilities are low on average', () => {
  const exit = { window: 3, threshold: 0.5 }
  expect(rambles([0.1, 0.1], exit)).toBe(false)
  expect(rambles([0.9, 0.5, 0.5, 0.5], exit)).toBe(true)
  expect(rambles([0.1, 0.1, 0.5, 0.95], exit)).toBe(false)
  expect(rambles([0.1, 0.1, 0.5, 0.9], exit)).toBe(true)
})

describeSdk('a staged task', (bench) => {
  const prompts = [randomIds(9, 31), randomIds(5, 32).slice(1)]
  const options = { contextLength: 200, stopIds: [], maxTokens: 7 }

  it('is answered stage by stage, each under its set, over what was said before', async () => {
    const engine = await bench().engine()
    const profile = profileOf({ layers: 3, fingerprint: 'abc' }, [{ sublayer: 2 }, { sublayer: 5 }])
    const policies = [1, 2].map((stage) => litestage({ budgets: [2, 1], stage, profile }))
    const answers = await answerStages(engine, prompts, policies, options)
    const skipped = [[2, 5], [2]]
    const said: number[] = []
    for (const [stage, prompt] of prompts.entries()) {
      said.push(...prompt)
      const execute = (sublayer: number) => !skipped[stage]!.includes(sublayer)
      const expected = reference(tinyModel()).greedy(said, 7, { execute })
      expect(answers[stage]!.tokens).toEqual(expected.tokens)
      said.push(...expected.tokens)
    }
    await expectError(answerStages(engine, prompts, policies.slice(1), options), 'bad-option')
  })

  it('ends where the model is not sure of itself', async () => {
    const engine = await bench().engine()
    const profile = profileOf({ layers: 3, fingerprint: 'abc' }, [])
    const policies = [1, 2].map((stage) => litestage({ budgets: [0, 0], stage, profile }))
    const lengths = async (threshold: number) =>
      (await answerStages(engine, prompts, policies, { ...options, exit: { window: 4, threshold } })).map(
        ({ tokens }) => tokens.length,
      )
    expect(await lengths(1)).toEqual([4, 4])
    expect(await lengths(0)).toEqual([7, 7])
  })
})
