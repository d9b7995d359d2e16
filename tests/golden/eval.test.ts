import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadModel, skipgpt } from '../../src/index.js'
import { nll } from '../../src/kernels/reference/nll.js'
import { DirectorySource } from '../../src/node/fs-source.js'
import { describeWithGpu } from '../fixtures/dawn.js'
import { readJson, readTensors, sharedDir, sharedPresent } from '../fixtures/golden.js'
import { type HubConfig, referenceModel } from '../reference/hub-config.js'
import { foldRouters } from '../reference/routers.js'

const STORIES = 3

/** tests/long compares 200 stories with a published number; here the reference says what a few of them must give. */
describe.skipIf(!sharedPresent)('evaluation', () => {
  describeWithGpu('of stories260k', (gpu) => {
    it.each([
      ['dense', undefined],
      ['routed', skipgpt({ delta: 0.2 })],
    ])('%s gives the loss and the ratios of the reference', async (_, policy) => {
      const folder = join(sharedDir, 'models', 'stories260k')
      const routers = join(folder, 'skipgpt-40')
      const model = await loadModel(new DirectorySource(folder), {
        gpu: gpu(),
        routers: new DirectorySource(routers),
      })
      const stories = readJson(join(sharedDir, 'data', 'tinystories', 'tinystories_1000.json')) as string[]
      const encoded = await Promise.all(stories.slice(0, STORIES).map((story) => model.text.encode(story)))
      const windows = encoded.map((ids, i) => ids.slice(0, 256 - 40 * i))
      const result = await model.evaluate([...windows, [1]], policy ? { policy } : {})
      model.dispose()

      const hub = readJson(join(folder, 'config.json')) as HubConfig
      const reference = referenceModel(hub, readTensors(join(folder, 'model.safetensors')))
      const folded = foldRouters(readTensors(join(routers, 'routers.safetensors')), hub.num_hidden_layers)
      const losses: number[] = []
      const skipped = [0, 0]
      for (const window of windows) {
        const fed = window.slice(0, -1)
        const { logits, execute } = reference.forward(fed, policy ? { routers: folded, delta: 0.2 } : {})
        losses.push(...nll(logits, window.slice(1), fed.length, hub.vocab_size))
        execute.forEach((rows, s) => {
          for (const runs of rows) skipped[s % 2]! += 1 - runs
        })
      }
      const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length
      expect(result.tokens).toBe(losses.length)
      expect(Math.abs(result.nll - mean)).toBeLessThan(1e-4)
      expect(result.perplexity).toBeCloseTo(Math.exp(result.nll), 9)
      const visits = losses.length * hub.num_hidden_layers
      // A decision on the edge may round either way.
      expect(Math.abs(result.skip.attention - skipped[0]! / visits)).toBeLessThan(1e-3)
      expect(Math.abs(result.skip.mlp - skipped[1]! / visits)).toBeLessThan(1e-3)
    })
  })
})
