import { it } from 'vitest'
import { describeWithGpu } from '../fixtures/dawn.js'
import { expectSteadyMemory } from '../fixtures/memory-use.js'
import { loadTiny } from '../fixtures/tiny-model.js'

describeWithGpu('memory', (gpu) => {
  it('does not grow over 20 generations with contexts of 2048', async () => {
    const checkpoint = {
      hiddenSize: 64,
      intermediateSize: 172,
      layers: 5,
      heads: 8,
      kvHeads: 4,
      vocabSize: 512,
      tied: true,
      contextLength: 2048,
    }
    await expectSteadyMemory(await loadTiny(gpu(), { checkpoint }), { rounds: 20, contextLength: 2048 })
  }, 1_200_000)
})
