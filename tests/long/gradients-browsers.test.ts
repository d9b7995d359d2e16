import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openPage } from '../../src/node/browser-page.js'
import { findChromium, findFirefox } from '../../src/node/browsers.js'
import type { PageServer } from '../../src/node/page-server.js'
import type { PageGolden, PageStep } from '../browser/gradients-page.js'
import { readJson, readTensors, sharedDir, sharedPresent } from '../fixtures/golden.js'
import { startSharedPages } from '../fixtures/shared-pages.js'
import { expectGradients, expectLosses } from '../tuning/golden-expectations.js'
import { type GoldenGradients, GoldenSteps } from '../tuning/golden-step.js'

// Losses and gradients of the golden data in pages of browsers, both stages and all kinds of routers.

const browsers = [
  { backend: 'chromium', executable: findChromium() },
  { backend: 'firefox', executable: findFirefox() },
] as const

/** A browser that renders on the CPU compiles for minutes. */
const PATIENCE = 1_200_000

describe.skipIf(!sharedPresent)('golden gradients in pages', () => {
  if (!sharedPresent) return
  const golden = readJson(join(sharedDir, 'golden', 'gradients.json')) as GoldenGradients
  const tensors = readTensors(join(sharedDir, 'golden', 'gradients.safetensors'))
  const steps = new GoldenSteps(golden, tensors)
  const plain: PageGolden = {
    golden,
    tensors: [...tensors].map(([name, { shape, data }]) => ({ name, shape: [...shape], values: [...data] })),
  }
  let server: PageServer
  beforeAll(async () => {
    server = await startSharedPages('gradients-page.ts')
  }, PATIENCE)
  afterAll(() => server?.close())

  describe.each(browsers)('$backend', ({ backend, executable }) => {
    it.skipIf(executable === undefined && process.env.CI === undefined)(
      'has the losses, gates and gradients of every case',
      async () => {
        const page = await openPage(backend, `${server.origin}/`, { adapter: 'auto' })
        try {
          for (const name of ['stage1', 'stage1_post_attention', 'stage1_mlp_router', 'stage2'] as const) {
            const expected = steps.expected(name)
            const { losses, gates, gradients } = await page.evaluate<PageStep>('take', [plain, name])
            expect(gates).toEqual(expected.gates)
            expectLosses(losses, expected.losses)
            const apart = expectGradients(new Map(gradients), expected.gradients, expected.largest)
            console.log(`${backend}, ${name}: gradients at most ${apart.toExponential(1)} of the largest apart`)
          }
        } finally {
          await page.close()
        }
      },
      PATIENCE,
    )
  })
})
