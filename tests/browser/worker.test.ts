import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { build } from 'vite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type BrowserPage, openPage } from '../../src/node/browser-page.js'
import { findChromium, findFirefox } from '../../src/node/browsers.js'
import { type PageServer, startPageServer } from '../../src/node/page-server.js'
import { PEBBLE } from '../fixtures/pebble.js'
import { tinyModel } from '../fixtures/tiny-model.js'

const SLOW = 120_000

let temporary: string
let server: PageServer

beforeAll(async () => {
  temporary = mkdtempSync(path.join(tmpdir(), 'skipstone-worker-'))
  const outDir = path.join(temporary, 'page')
  await build({
    configFile: false,
    root: path.join(import.meta.dirname, 'worker-page'),
    base: './',
    publicDir: false,
    logLevel: 'error',
    worker: { format: 'es' },
    build: { outDir, target: 'es2022' },
  })
  const { files } = tinyModel()
  const template = '{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}'
  const endless = new TextEncoder().encode(JSON.stringify({ chat_template: template }))
  const hanging = new Map([...files, ['tokenizer_config.json', endless]])
  const served = Object.entries({ tiny: files, hanging }).flatMap(([folder, model]) =>
    Array.from(
      model,
      ([name, body]) => [`/page/${folder}/${name}`, { type: 'application/octet-stream', body }] as const,
    ),
  )
  server = await startPageServer({
    files: new Map(served),
    folders: new Map([
      ['/page/', `${outDir}/`],
      ['/pebble/', `${PEBBLE}/`],
    ]),
  })
})
afterAll(async () => {
  await server?.close()
  if (temporary) rmSync(temporary, { recursive: true })
})

for (const { backend, installed } of [
  { backend: 'chromium', installed: findChromium() !== undefined },
  { backend: 'firefox', installed: findFirefox() !== undefined },
] as const) {
  // On CI a browser that is missing is a failure; elsewhere its tests are reported as not run.
  describe.skipIf(!installed && process.env.CI === undefined)(`workers in ${backend}`, () => {
    let page: BrowserPage
    const printed: string[] = []
    beforeAll(async () => {
      const onConsole = (...line: unknown[]) => printed.push(line.join(' '))
      page = await openPage(backend, `${server.origin}/page/index.html`, { adapter: 'auto', onConsole })
    })
    afterAll(() => page?.close())

    let expected: { tokens: number[] }
    it(
      'runs on the page itself',
      async () => {
        expected = await page.evaluate('run', 'page')
        expect(expected.tokens).toHaveLength(30)
        expect(expected).toMatchObject({ refused: 'bad-option' })
      },
      SLOW,
    )

    it.each(['worker', 'shared'])(
      'gives the same tokens, bits, figures and errors: %s',
      async (place) => {
        expect(await page.evaluate('run', place)).toEqual(expected)
        expect(await page.evaluate('failLoad', place)).toBe('not-found')
      },
      SLOW,
    )

    it(
      'frees what a page had that is gone, and keeps the model of the others',
      async () => {
        const { alone, together, after } = await page.evaluate<Record<string, number>>('gone')
        expect(together).toBeGreaterThan(alone!)
        expect(after).toBeLessThan(together!)
        expect(after).toBeGreaterThanOrEqual(alone!)
      },
      SLOW,
    )

    it(
      'ends a worker in which a chat template never finishes, and no other',
      async () => {
        const ended = { rendered: 'unresponsive', later: 'unresponsive' }
        expect(await page.evaluate('hang')).toEqual({ ...ended, before: 'no failure', other: 'no failure' })
      },
      SLOW,
    )

    it.runIf(backend === 'chromium')(
      'leaves the page to the user while a model loads and runs',
      async () => {
        const { longest, text } = await page.evaluate<{ longest: number; text: string }>('longest', '/pebble/')
        expect(text.length).toBeGreaterThan(40)
        // How long a task takes is the machine's affair, and printed.
        console.log(`the longest task of the main thread took ${longest === 0 ? 'less than 50' : longest.toFixed()} ms`)
      },
      SLOW,
    )

    it('prints nothing', () => expect(printed.filter((line) => !line.includes('404'))).toEqual([]))
  })
}
