import { expect, it } from 'vitest'
import { describeWithGpu } from '../fixtures/dawn.js'
import { expectSteadyMemory } from '../fixtures/memory-use.js'
import { loadTiny, randomIds } from '../fixtures/tiny-model.js'
import { generated } from './support.js'

describeWithGpu('memory', (gpu) => {
  // tests/long has 20 rounds of a larger model.
  it('does not grow with generations', async () => {
    await expectSteadyMemory(await loadTiny(gpu()), { rounds: 9, contextLength: 600 })
  })

  it('is the same at any pace', async () => {
    using model = await loadTiny(gpu())
    const bytes = async (stepsPerSubmit: number) => {
      using session = model.createSession()
      await generated(session, randomIds(5, 1), { maxTokens: 33, stepsPerSubmit })
      return model.gpuBytes
    }
    const one = await bytes(1)
    for (const steps of [3, 16]) expect(await bytes(steps)).toBe(one)
  })
})
