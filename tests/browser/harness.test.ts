import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { SkipstoneError } from '../../src/errors.js'
import { type BrowserPage, openPage } from '../../src/node/browser-page.js'
import { findChromium, findFirefox } from '../../src/node/browsers.js'
import { buildPageBundle } from '../../src/node/page-bundle.js'
import { type PageServer, startPageServer } from '../../src/node/page-server.js'
import { descendants, readProcess } from '../../tools/peers/processes.js'

// The harness must see what goes wrong in a page: every other browser test relies on that.

// On CI a browser that is missing is a failure; elsewhere its tests are reported as not run.
const CI = process.env.CI !== undefined

let server: PageServer
/** The folder for temporary files, ours alone, so that what a browser leaves behind shows. */
let temporary: string
const printed: string[] = []

beforeAll(async () => {
  temporary = mkdtempSync(path.join(tmpdir(), 'skipstone-harness-'))
  for (const variable of ['TMPDIR', 'TEMP', 'TMP']) vi.stubEnv(variable, temporary)
  const script = await buildPageBundle(path.join(import.meta.dirname, 'harness-page.ts'))
  const html = '<!doctype html><meta charset="utf-8"><script type="module" src="/page.js"></script>'
  server = await startPageServer({
    files: new Map([
      ['/', { type: 'text/html', body: html }],
      ['/page.js', { type: 'text/javascript', body: script }],
    ]),
  })
})

afterAll(async () => {
  await server.close()
  vi.unstubAllEnvs()
  rmSync(temporary, { recursive: true })
})

for (const { backend, installed } of [
  { backend: 'chromium', installed: findChromium() !== undefined },
  { backend: 'firefox', installed: findFirefox() !== undefined },
] as const) {
  describe.skipIf(!installed && !CI)(`a page in ${backend}`, () => {
    let page: BrowserPage
    beforeAll(async () => {
      page = await open()
    })

    // Closed by the last test; this is for when it did not get there.
    afterAll(() => page.close())

    const open = () =>
      openPage(backend, `${server.origin}/`, {
        adapter: 'auto',
        onConsole: (level, text) => printed.push(`${level}: ${text}`),
      })

    it('computes on WebGPU', async () => {
      const a = Array.from({ length: 1000 }, (_, index) => index)
      const sum = await page.evaluate<number[]>('add', { a, b: a.map((value) => value / 2) })
      expect(sum).toEqual(a.map((value) => value * 1.5))
    })

    it('reports a syntax error in a shader', async () => {
      expect(await page.evaluate('compile', '@compute @workgroup_size(1) fn main() { let x = ; }')).toContain('error')
      expect(await page.evaluate('compile', '@compute @workgroup_size(1) fn main() {}')).toEqual([])
    })

    it('passes on errors with their code', async () => {
      await expect(page.evaluate('fail', 'context-full')).rejects.toSatisfy(hasCode('context-full'))
      await expect(page.evaluate('fail', 'no-such-code')).rejects.toSatisfy(hasCode('internal'))
      await expect(page.evaluate('missing')).rejects.toSatisfy(hasCode('internal'))
    })

    it('passes on what the page prints', async () => {
      expect(await page.evaluate('say', 'hello')).toBeUndefined()
      await expect.poll(() => printed.filter((line) => /^warn(ing)?: hello$/.test(line)).length).toBeGreaterThan(0)
    })

    it('waits for a page that is busy', async () => {
      expect(await page.evaluate('busy', 3000)).toBe('done')
    })

    it.skipIf(process.platform !== 'linux')('rejects what is under way when the page crashes', async () => {
      const others = new Set(descendants(process.pid))
      const crashing = await open()
      const pending = crashing.evaluate('never').catch((error: unknown) => error)
      for (const pid of descendants(process.pid)) if (!others.has(pid) && showsPages(pid)) process.kill(pid, 'SIGKILL')
      expect(await pending).toSatisfy(hasCode('device-lost'))
      await expect(crashing.evaluate('say', '')).rejects.toSatisfy(hasCode('device-lost'))
      await crashing.close()
      await expect(crashing.evaluate('say', '')).rejects.toSatisfy(hasCode('disposed'))
    })

    it('says that a page cannot be reached', async () => {
      await expect(openPage(backend, 'http://127.0.0.1:9/', { adapter: 'auto' })).rejects.toSatisfy(hasCode('network'))
    })

    it('rejects what is under way when it is closed, and leaves nothing behind', async () => {
      const pending = page.evaluate('never').catch((error: unknown) => error)
      await page.close()
      expect(await pending).toSatisfy(hasCode('disposed'))
      await page.close()
      expect(descendants(process.pid)).toEqual([])
      expect(readdirSync(temporary)).toEqual([])
    })
  })
}

describe('adapters that a browser cannot use', () => {
  it('are refused before anything is started', async () => {
    await expect(openPage('chromium', 'http://127.0.0.1/', { adapter: 'lavapipe' })).rejects.toSatisfy(
      hasCode('bad-option'),
    )
    await expect(openPage('firefox', 'http://127.0.0.1/', { adapter: 'swiftshader' })).rejects.toSatisfy(
      hasCode('bad-option'),
    )
  })
})

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof SkipstoneError && error.code === code
}

/** Whether this is the browser process that runs a page's scripts. */
function showsPages(pid: number): boolean {
  const command = readProcess(pid, 'cmdline').replaceAll('\0', ' ').trim()
  return command.includes('--type=renderer') || / -contentproc .* tab$/.test(command)
}
