/** Gates of GateSkip for a model that has learnt something: what training them is worth, and that the file does what was measured. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { DirectorySource } from '../../src/node/fs-source.js'
import { loadEngineModel } from '../../src/sdk/load-model.js'
import type { EngineModel } from '../../src/sdk/model.js'
import type { TuneOptions } from '../../src/sdk/tune-api.js'
import { sampleWindows } from '../../src/tuning/own-text.js'
import { describeWithGpu } from '../fixtures/dawn.js'
import { sharedPresent } from '../fixtures/golden.js'
import { MemorySource } from '../fixtures/memory-source.js'
import { STORIES } from '../fixtures/reference-trainer.js'

const LENGTH = 64
const HELD = 16
const TARGET = 0.25
/** A slow machine takes long to compile. */
const PATIENCE = 600_000

if (!sharedPresent) {
  it.skip('needs ../shared', () => undefined)
} else {
  describeWithGpu('gates for stories260k', (gpu) => {
    let model: EngineModel
    let options: TuneOptions

    beforeAll(async () => {
      model = await loadEngineModel(new DirectorySource(STORIES), { gpu: gpu() })
      const ends = new Set(model.config.eosTokenIds)
      const bos = model.config.bosTokenId as number
      const text = { windows: 240 + HELD, length: LENGTH, bos, ends, seed: 5 }
      const windows = await sampleWindows(await model.engine(), text)
      const data = { windows: windows.slice(HELD), held: windows.slice(0, HELD) }
      options = { stage: 'gateskip', target: TARGET, batch: 4, data, saveEvery: 0 }
    }, PATIENCE)
    afterAll(() => model?.dispose())

    it(
      'learn what to skip: the target of it, at a loss well below that of gates that have learnt nothing',
      async () => {
        const first = await model.tune({ ...options, steps: 1 })
        await first.done
        const untrained = await first.evaluate()
        const run = await model.tune({ ...options, steps: 120 })
        await run.done
        const { executeRate, crossEntropy } = run.steps.at(-1)!
        expect(executeRate).toBeCloseTo(1 - TARGET, 3)
        const trained = await run.evaluate()
        console.log(
          `dense ${trained.dense.toFixed(3)} nats; ${(100 * trained.skip.total).toFixed(1)} % skipped by trained gates ${trained.routed.toFixed(3)} (last batch ${crossEntropy.toFixed(3)}), ${(100 * untrained.skip.total).toFixed(1)} % by others ${untrained.routed.toFixed(3)}`,
        )
        expect(trained.routed).toBeLessThan(untrained.routed - 0.3)
        expect(crossEntropy).toBeLessThan(untrained.routed - 0.3)
        // Thresholds were found on other text.
        for (const share of Object.values(trained.skip)) expect(Math.abs(share - TARGET)).toBeLessThan(0.03)

        const routers = new MemorySource(await run.export())
        const gated = await loadEngineModel(new DirectorySource(STORIES), { gpu: gpu(), routers })
        const { nll, skip } = await gated.evaluate(run.held, { policy: 'gateskip' })
        gated.dispose()
        expect(nll).toBeCloseTo(trained.routed, 5)
        expect(skip.total).toBeCloseTo(trained.skip.total, 5)
      },
      PATIENCE,
    )
  })
}
