import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openPage } from '../../src/node/browser-page.js'
import { findChromium, findFirefox } from '../../src/node/browsers.js'
import { buildPageBundle } from '../../src/node/page-bundle.js'
import { type PageServer, startPageServer } from '../../src/node/page-server.js'

// Products in 8 bits, through the compilers of browsers: kernel tests run on Dawn alone.

let server: PageServer
beforeAll(async () => {
  const script = await buildPageBundle(path.join(import.meta.dirname, 'packed-page.ts'))
  const html = '<!doctype html><meta charset="utf-8"><script type="module" src="/page.js"></script>'
  server = await startPageServer({
    files: new Map([
      ['/', { type: 'text/html', body: html }],
      ['/page.js', { type: 'text/javascript', body: script }],
    ]),
  })
})
afterAll(() => server.close())

for (const { backend, installed, forms } of [
  { backend: 'chromium', installed: findChromium() !== undefined, forms: 4 },
  // It has no subgroups.
  { backend: 'firefox', installed: findFirefox() !== undefined, forms: 3 },
] as const) {
  describe.skipIf(!installed && process.env.CI === undefined)(`products in 8 bits in ${backend}`, () => {
    it('pass their self-test in every form', async (test) => {
      const page = await openPage(backend, `${server.origin}/`, { adapter: 'auto' })
      const passed = await page.evaluate<Record<string, boolean> | null>('selfTest').finally(() => page.close())
      if (!passed) return test.skip('This browser does not have the language feature.')
      expect(Object.values(passed), JSON.stringify(passed)).toEqual(Array(forms).fill(true))
    })
  })
}
