import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type BrowserBackend, type BrowserPage, openPage } from '../../src/node/browser-page.js'
import type { PageServer } from '../../src/node/page-server.js'
import { loadModelGolden, type ModelMode, sharedPresent } from '../fixtures/golden.js'
import { startSharedPages } from '../fixtures/shared-pages.js'
import { SHARED_LOADS, type SHARED_MODELS, sharedCase } from '../golden/cases.js'
import { compareRun, type Outcome } from '../golden/compare.js'
import type { PageLoad } from './golden-page.js'

/** The first load of a model compiles every shader on a CPU; Firefox keeps none of them from one run to the next. */
const COMPILING = 600_000

/**
 * Golden runs of models in ../shared in a page of one browser, of all their prompts or of some; one file for each browser, so that they
 * run side by side.
 */
export function describeGoldenRuns(
  backend: BrowserBackend,
  executable: string | undefined,
  models: readonly (typeof SHARED_MODELS)[number][],
  prompts?: readonly string[],
): void {
  // With CI set, a browser that is not installed is a failure, not a test that did not run.
  const missing = !sharedPresent || (executable === undefined && !process.env.CI)
  describe.skipIf(missing)(`golden runs in ${backend}`, () => {
    let server: PageServer
    let page: BrowserPage
    beforeAll(async () => {
      server = await startSharedPages('golden-page.ts')
      page = await openPage(backend, `${server.origin}/`, { adapter: 'auto' })
    })
    afterAll(async () => {
      await page?.close()
      await server?.close()
    })

    describe.each(models)('%s', (name) => {
      const golden = sharedPresent ? loadModelGolden(name) : undefined
      const ids = prompts ?? golden?.prompts.map(({ id }) => id) ?? []
      describe.each(SHARED_LOADS.map((modes) => ({ modes })))('$modes', ({ modes }) => {
        beforeAll(async () => {
          await page.evaluate('load', pageLoad(name, golden!.modes[modes.at(-1)!]!))
        }, COMPILING)

        const cases = modes.flatMap((mode) => ids.map((prompt) => ({ mode, prompt })))
        it.each(cases)(
          '$prompt $mode',
          async ({ mode, prompt }) => {
            const { run, expected } = sharedCase(golden!, prompt, mode)
            const { problems, allowed } = compareRun(await page.evaluate<Outcome>('run', run), expected)
            expect(problems).toEqual([])
            expect(allowed.length).toBeLessThanOrEqual(expected.near.length + 1)
          },
          COMPILING,
        )
      })
    })
  })
}

function pageLoad(name: string, { routers, weights, lora }: ModelMode): PageLoad {
  const model = `/shared/models/${name}/`
  const routerPath = weights ? `/shared/golden/${weights}` : model + routers!
  return {
    model,
    routers: routerPath.slice(0, routerPath.lastIndexOf('/') + 1),
    routerFile: routerPath.slice(routerPath.lastIndexOf('/') + 1),
    ...(lora && { lora: `${model}${lora}/` }),
  }
}
