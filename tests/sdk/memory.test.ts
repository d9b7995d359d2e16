import { it } from 'vitest'
import { describeWithGpu } from '../fixtures/dawn.js'
import { expectSteadyMemory } from '../fixtures/memory-use.js'
import { loadTiny } from '../fixtures/tiny-model.js'

describeWithGpu('memory', (gpu) => {
  // tests/long has 20 rounds of a larger model.
  it('does not grow with generations', async () => {
    await expectSteadyMemory(await loadTiny(gpu()), { rounds: 9, contextLength: 600 })
  })
})
