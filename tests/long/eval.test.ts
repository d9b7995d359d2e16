import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadModel } from '../../src/index.js'
import { DirectorySource } from '../../src/node/fs-source.js'
import { describeWithGpu } from '../fixtures/dawn.js'
import { readJson, sharedDir, sharedPresent } from '../fixtures/golden.js'

describe.skipIf(!sharedPresent)('evaluation', () => {
  describeWithGpu('of stories260k', (gpu) => {
    // ../shared/data/tinystories/SOURCE.txt: an independent run over 50,867 targets gave 1.666333 nats.
    it('gives the loss of an independent run over 200 stories', async () => {
      const model = await loadModel(new DirectorySource(join(sharedDir, 'models', 'stories260k')), { gpu: gpu() })
      const stories = readJson(join(sharedDir, 'data', 'tinystories', 'tinystories_1000.json')) as string[]
      const encoded = await Promise.all(stories.slice(0, 200).map((story) => model.text.encode(story)))
      const windows = encoded.map((ids) => ids.slice(0, 256))
      const { nll, tokens, perplexity, skip } = await model.evaluate(windows)
      expect(tokens).toBe(50_867)
      expect(Math.abs(nll - 1.666333)).toBeLessThan(1e-4)
      expect(perplexity).toBeCloseTo(Math.exp(nll), 9)
      expect(skip.total).toBe(0)
      model.dispose()
    }, 1_200_000)
  })
})
