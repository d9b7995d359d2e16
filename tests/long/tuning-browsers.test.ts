import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openPage } from '../../src/node/browser-page.js'
import { findChromium, findFirefox } from '../../src/node/browsers.js'
import { DirectorySource } from '../../src/node/fs-source.js'
import type { PageServer } from '../../src/node/page-server.js'
import { loadEngineModel } from '../../src/sdk/load-model.js'
import { sampleWindows } from '../../src/tuning/own-text.js'
import type { Stage } from '../../src/tuning/settings.js'
import type { TrainedStep } from '../../src/tuning/training-run.js'
import type { PageRun } from '../browser/training-page.js'
import { describeWithGpu } from '../fixtures/dawn.js'
import { type ReferenceRun, referencePython, STORIES, trainReference } from '../fixtures/reference-trainer.js'
import { startSharedPages } from '../fixtures/shared-pages.js'
import { firstValues } from '../tuning/first-values.js'

// 20 steps in pages of browsers, beside the reference trainer under the same noise.

const CHANGES = { batch: 2, length: 64, steps: 20 }

/** Decisions of a step: two sublayers in each of the five layers. */
const GATES = 2 * 5 * CHANGES.batch * CHANGES.length

/** What missing the target by 1 costs. */
const LAMBDA = 8

const STAGES = ['routers', 'lora'] as const

/** A browser that renders on the CPU compiles for minutes. */
const PATIENCE = 1_200_000

const browsers = [
  { backend: 'chromium', executable: findChromium() },
  { backend: 'firefox', executable: findFirefox() },
] as const

if (!referencePython) {
  it.skip('needs ../shared and a Python with torch', () => undefined)
} else {
  describeWithGpu('training in pages', (gpu) => {
    let windows: number[][]
    let folder: string
    let server: PageServer
    const reference = new Map<Stage, ReferenceRun>()

    beforeAll(async () => {
      folder = mkdtempSync(path.join(tmpdir(), 'skipstone-tuning-'))
      const model = await loadEngineModel(new DirectorySource(STORIES), { gpu: gpu() })
      const engine = await model.engine()
      const { bosTokenId, eosTokenIds } = model.config
      const ends = new Set(eosTokenIds)
      const text = { windows: 12, length: CHANGES.length, bos: bosTokenId as number, ends, seed: 5 }
      windows = await sampleWindows(engine, text)
      for (const stage of STAGES) {
        const trained = new DirectorySource(path.join(STORIES, 'skipgpt-25'))
        const first = await firstValues(engine.shape, trained, { ...CHANGES, stage })
        const run = await trainReference(path.join(folder, stage), { ...first, windows, held: windows.slice(0, 2) })
        reference.set(stage, run)
      }
      model.dispose()
      server = await startSharedPages('training-page.ts')
    }, PATIENCE)
    afterAll(async () => {
      await server?.close()
      rmSync(folder, { recursive: true, force: true })
    })

    describe.each(browsers)('$backend', ({ backend, executable }) => {
      it.skipIf(executable === undefined && process.env.CI === undefined).each(STAGES)(
        '%s: the losses of the reference, step by step',
        async (stage) => {
          const page = await openPage(backend, `${server.origin}/`, { adapter: 'auto' })
          try {
            const model = '/shared/models/stories260k/'
            const run: PageRun = { model, trained: `${model}skipgpt-25/`, windows, changes: { ...CHANGES, stage } }
            const ours = await page.evaluate<TrainedStep[]>('train', run)
            const theirs = reference.get(stage)!.history
            expect(ours).toHaveLength(CHANGES.steps)
            const steps = ours.map(({ loss, executeRate }, i) => ({
              apart: Math.abs(loss - theirs[i]!.loss),
              // Of a LoRA none is drawn by lot.
              flipped: Math.round(Math.abs(executeRate - (theirs[i]!.rate ?? executeRate)) * GATES),
            }))
            const same = steps.filter(({ flipped }) => flipped === 0).map(({ apart }) => apart)
            const others = steps.filter(({ flipped }) => flipped > 0)
            console.log(
              `${backend}, ${stage}: ${same.length} losses at most ${Math.max(...same).toExponential(1)} apart; where a gate fell the other way: ${JSON.stringify(others)}`,
            )
            expect(Math.max(...same)).toBeLessThan(1e-5)
            // A gate whose logits with their noise are equal within rounding: the loss tells of it, the gradients hardly do.
            for (const { apart, flipped } of others) expect(apart).toBeLessThan((2 * flipped * LAMBDA) / GATES)
            expect(others.reduce((sum, { flipped }) => sum + flipped, 0)).toBeLessThanOrEqual(2)
            expect(new Set(theirs.map(({ loss }) => loss)).size).toBe(CHANGES.steps)
          } finally {
            await page.close()
          }
        },
        PATIENCE,
      )
    })
  })
}
