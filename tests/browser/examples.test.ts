import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Browser, Page } from 'playwright'
import { build } from 'vite'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { findChromium } from '../../src/node/browsers.js'
import { type PageServer, startPageServer } from '../../src/node/page-server.js'
import { copyPebble } from '../fixtures/pebble.js'
import { accessibilityFindings, launchChromium } from './chromium-pages.js'

// The examples as they are built, in Chromium on its software adapter.

const ROOT = path.join(import.meta.dirname, '../..')
const executablePath = findChromium()
/** Long enough for a software adapter to compile all shaders on a busy machine. */
const SLOW = 90_000
const CONTEXT = 128

let temporary: string
let server: PageServer
let browser: Browser
let errors: string[] = []
let requests: string[] = []

// On CI a browser that is missing is a failure; elsewhere the tests are reported as not run.
describe.skipIf(executablePath === undefined && process.env.CI === undefined)('the examples', () => {
  beforeAll(async () => {
    temporary = mkdtempSync(path.join(tmpdir(), 'skipstone-examples-'))
    const outDir = path.join(temporary, 'pages')
    await build({ configFile: path.join(ROOT, 'vite.config.ts'), logLevel: 'error', build: { outDir } })
    // Pebble as a model that chats.
    const chats = path.join(temporary, 'chats')
    copyPebble(chats, CONTEXT)
    const template = '{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}'
    writeFileSync(path.join(chats, 'chat_template.jinja'), template)
    // It would name all files.
    rmSync(path.join(chats, 'manifest.json'))
    server = await startPageServer({
      folders: new Map([
        ['/pages/', `${outDir}/`],
        ['/chats/', `${chats}/`],
      ]),
    })
    browser = await launchChromium(executablePath!, temporary)
  })
  afterAll(async () => {
    await browser?.close()
    await server?.close()
    if (temporary) rmSync(temporary, { recursive: true })
  })
  afterEach(() => {
    const seen = errors
    errors = []
    expect(seen).toEqual([])
  })

  it('plain HTML: writes a text', async () => {
    const page = await open('plain')
    await page.click('#generate')
    await page.waitForSelector('#output:has-text("% of the network")')
    expect(await page.textContent('#output')).toMatch(/^Once upon a time.{30,}\n\nSkipped \d+ % of the network\.$/s)
    await page.close()
  })

  it('worker: writes a text until it is stopped', async () => {
    const page = await open('worker')
    await page.click('#generate')
    await page.waitForFunction(() => (document.querySelector('#output')?.textContent?.length ?? 0) > 40)
    await page.click('#stop')
    await page.waitForSelector('#output:has-text("aborted")')
    expect(await page.textContent('#output')).toMatch(/^Once upon a time/)
    await page.close()
  })

  it('chat: answers, and keeps what was said', async () => {
    const page = await open('chat')
    await page.fill('#model', `${server.origin}/chats/`)
    await page.fill('#length', '12')
    for (const [i, text] of ['Who are you?', 'And who am I?'].entries()) {
      await page.fill('#question', text)
      await page.click('button')
      // Cleared when the answer is whole.
      await page.waitForFunction(() => document.querySelector<HTMLInputElement>('#question')?.value === '')
      const messages = await page.locator('#messages li').allTextContents()
      expect(messages.length).toBe(2 * i + 2)
      expect(messages.at(-2)).toBe(`You: ${text}`)
      expect(messages.at(-1)).toMatch(/^Model: .+/s)
    }
    await page.close()
  })

  it('React: a component streams a text', async () => {
    const page = await open('react')
    await page.click('button:has-text("Write a story")')
    await page.waitForFunction(() => (document.querySelector('.output')?.textContent?.length ?? 0) > 60)
    expect(await page.textContent('.output')).toMatch(/^Once upon a time/)
    expect(await page.textContent('[role=alert]')).toBe('')
    await page.close()
  })

  it('inspector alone: shows a saved trace, and downloads nothing of the engine', async () => {
    const page = await open('trace')
    await page.getByText('120 tokens × 24 sublayers').waitFor()
    const scripts = requests.filter((url) => url.endsWith('.js')).map((url) => path.basename(url).replace(/-.*/, ''))
    expect(scripts).toContain('element')
    expect(scripts.filter((name) => /^load|tokenizers|engine|session|kernels/.test(name))).toEqual([])
    await page.close()
  })
})

/** An example that fits a narrow screen and has no serious fault. */
async function open(name: string): Promise<Page> {
  const page = await browser.newPage({ viewport: { width: 360, height: 740 }, serviceWorkers: 'block' })
  page.setDefaultTimeout(SLOW)
  requests = []
  page.on('request', (request) => requests.push(request.url()))
  page.on('pageerror', (error) => errors.push(String(error)))
  page.on('console', (message) => {
    // A model without routers is asked for them.
    const probed = message.location().url.endsWith('/routers.safetensors')
    if (message.type() === 'error' && !probed) errors.push(message.text())
  })
  await page.goto(`${server.origin}/pages/examples/${name}.html`)
  expect(await accessibilityFindings(page)).toEqual([])
  expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0)
  return page
}
