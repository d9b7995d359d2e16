import { expect, it } from 'vitest'
import { skipgpt } from '../../src/index.js'
import { sampleText } from '../../src/study/budget.js'
import { TINY_CONTEXT } from '../fixtures/tiny-model.js'
import { describeSdk, expectError, generated } from './support.js'

describeSdk('budgets', (bench) => {
  it('are met on the text that they are calibrated on, in order', async () => {
    const ids = await sampleText(await bench().engine(), TINY_CONTEXT)
    expect(ids).toHaveLength(256)
    expect(await sampleText(await bench().engine(), TINY_CONTEXT)).toEqual(ids)
    const shares: number[] = []
    for (const budget of [0, 0.2, 0.5, 0.8, 1]) {
      const { skip } = await bench().model.evaluate([[...ids, 3]], { policy: skipgpt({ budget }) })
      expect(Math.abs(skip.total - budget), `budget ${budget}: ${skip.total}`).toBeLessThan(0.03)
      shares.push(skip.total)
    }
    expect(shares).toEqual([...shares].sort((a, b) => a - b))
  })

  it('are calibrated once for a model', async () => {
    const { counters } = await bench().engine()
    using first = bench().session({ policy: skipgpt({ budget: 0.31 }) })
    await generated(first, [1, 5, 6], { maxTokens: 2 })
    const submits = counters.submits
    using second = bench().session({ policy: 'skipgpt:budget=0.31' })
    const { tokens } = await generated(second, [1, 5, 6], { maxTokens: 2 })
    expect(counters.submits - submits).toBeLessThan(5)
    expect(tokens).toHaveLength(2)
  })

  it('leave nothing behind', async () => {
    const before = bench().model.gpuBytes
    await bench().model.evaluate([[1, 2, 3]], { policy: skipgpt({ budget: 0.62 }) })
    expect(bench().model.gpuBytes).toBe(before)
  })

  it.each([-0.1, 1.1, Number.NaN])('of %d are refused', async (budget) => {
    await expectError(() => skipgpt({ budget }), 'bad-option')
  })
})
