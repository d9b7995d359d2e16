import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { BrowserContext } from 'playwright'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findChromium } from '../../src/node/browsers.js'
import { buildExtension } from '../../tools/build-extension.js'
import { accessibilityFindings, launchWithExtension } from './chromium-pages.js'

// The example extension as it is built: the model runs in its service worker, in Chromium on its software adapter.

const executablePath = findChromium()
const SLOW = 90_000

// On CI a browser that is missing is a failure; elsewhere the tests are reported as not run.
describe.skipIf(executablePath === undefined && process.env.CI === undefined)('the example extension', () => {
  let temporary: string
  let context: BrowserContext

  beforeAll(async () => {
    temporary = mkdtempSync(path.join(tmpdir(), 'skipstone-extension-'))
    const folder = path.join(temporary, 'extension')
    await buildExtension(folder)
    context = await launchWithExtension(executablePath!, temporary, folder)
  })
  afterAll(async () => {
    await context?.close()
    if (temporary) rmSync(temporary, { recursive: true })
  })

  it('writes a text in its service worker, and another one', async () => {
    const worker = context.serviceWorkers()[0] ?? (await context.waitForEvent('serviceworker'))
    const errors: string[] = []
    const page = await context.newPage()
    page.on('pageerror', (error) => errors.push(String(error)))
    await page.goto(new URL('page.html', worker.url()).href)
    expect(await accessibilityFindings(page)).toEqual([])
    for (const prompt of ['Once upon a time', 'It was']) {
      await page.fill('#prompt', prompt)
      await page.click('#generate')
      await page.waitForSelector('#generate:disabled')
      await page.waitForSelector('#generate:enabled', { timeout: SLOW })
      const text = (await page.textContent('#output')) ?? ''
      expect(text).toMatch(new RegExp(`^${prompt}.{30,}`, 's'))
    }
    expect(errors).toEqual([])
  })
})
