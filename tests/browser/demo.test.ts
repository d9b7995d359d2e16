import { cpSync } from 'node:fs'
import path from 'node:path'
import type { Browser, BrowserContextOptions, Page } from 'playwright'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { findChromium } from '../../src/node/browsers.js'
import { copyPebble, PEBBLE } from '../fixtures/pebble.js'
import {
  accessibilityFindings,
  type BuiltPages,
  launchChromium,
  picture,
  serveBuiltPages,
  tabTo,
} from './chromium-pages.js'

// The demo page as it is built, in Chromium on its software adapter.

const executablePath = findChromium()

/** “Once upon a time, there was a”, with BOS. */
const PROMPT_TOKENS = 10
/** “ More” */
const MORE_TOKENS = 2

/** Long enough for a software adapter to compile all shaders on a busy machine. */
const SLOW = 90_000

/** Put before the worker's script: its GPU devices are lost when the page says so. */
const LOSES_DEVICES = `
  const request = GPUAdapter.prototype.requestDevice
  GPUAdapter.prototype.requestDevice = async function (...args) {
    const device = await request.apply(this, args)
    new BroadcastChannel('lose').onmessage = () => device.destroy()
    return device
  };
`

let pages: BuiltPages
let browser: Browser
/** What any page printed as an error, less what its test takes away again. */
let errors: string[] = []
const requests = new Set<string>()

// On CI a browser that is missing is a failure; elsewhere the tests are reported as not run.
describe.skipIf(executablePath === undefined && process.env.CI === undefined)('the demo page', () => {
  beforeAll(async () => {
    pages = await serveBuiltPages()
    browser = await launchChromium(executablePath!, pages.temporary)
  })

  afterAll(async () => {
    await browser?.close()
    await pages?.close()
  })

  afterEach(() => {
    const seen = errors
    errors = []
    expect(seen).toEqual([])
  })

  describe('on one page', () => {
    let page: Page
    beforeAll(async () => {
      page = await open()
    })
    afterAll(() => page.close())

    it('has Pebble and a prompt ready without being asked, and is accessible before anything is done', async () => {
      expect(await page.inputValue('#prompt')).toMatch(/./)
      await picture(page, 'demo-opened')
      await page.waitForSelector('#status:has-text("Pebble is ready")')
      expect(await readTotals(page)).toMatchObject({ Model: 'llama, 14 layers' })
      expect(await page.isVisible('#software')).toBe(true)
      expect(await accessibilityFindings(page)).toEqual([])
      await picture(page, 'demo-fresh')
    })

    it('generates by keyboard alone, and shows what each token ran', async () => {
      await page.fill('#max-tokens', '20')
      await page.evaluate(() => document.getElementById('prompt')?.blur())
      await tabTo(page, 'generate')
      await page.keyboard.press('Enter')
      await finished(page)

      const tokens = await shown(page)
      expect(tokens.filter((token) => token.prompt).length).toBe(PROMPT_TOKENS)
      expect(tokens.filter((token) => !token.prompt).length).toBe(20)
      expect(tokens.slice(0, -1).every((token) => token.level !== undefined)).toBe(true)
      expect(tokens.at(-1)?.level).toBeUndefined()
      expect(new Set(tokens.map((token) => token.level)).size).toBeGreaterThan(2)
      expect(await page.textContent('#status')).toBe('Done: 20 tokens.')
      expect(await page.textContent('#text')).toMatch(/^<\|endoftext\|>Once upon a time, there was a.{20}/s)
    })

    it('shows totals', async () => {
      const totals = await readTotals(page)
      const skipped = Number.parseInt(totals.Skipped ?? '', 10)
      expect(skipped).toBeGreaterThan(10)
      expect(skipped).toBeLessThan(40)
      expect(totals).toMatchObject({ Tokens: '30', Weights: 'q8', Policy: 'SkipGPT', Model: 'llama, 14 layers' })
      expect(totals.Adapter).toMatch(/swiftshader/i)
      expect(totals['GPU memory']).toMatch(/^[\d.]+ MB$/)
      expect(totals['Generation speed']).toMatch(/^[\d.]+ tokens\/s$/)
    })

    it('shows the decisions of a token in the inspector, whichever of them it was chosen in', async () => {
      await page.focus('#text')
      for (const key of ['Home', 'ArrowRight', 'ArrowRight']) await page.keyboard.press(key)
      const chosen = page.locator('skip-inspector .chosen')
      expect(await chosen.locator('p').textContent()).toMatch(
        /^Position 2, “nce” \(id 1350, from the prompt\) ran \d+ of 28/,
      )
      const ran = await chosen.locator('td.ran').count()
      expect(await chosen.locator('p').textContent()).toContain(`ran ${ran} of 28`)
      expect(await chosen.locator('td').count()).toBe(28)
      expect(await page.locator('#text .selected').getAttribute('title')).toContain(`ran ${ran} of 28`)

      await page.click('skip-inspector button[aria-label="Next token"]')
      expect(await chosen.locator('p').textContent()).toContain('Position 3, “␣upon”')
      expect(await page.locator('#text .selected').getAttribute('data-position')).toBe('3')
      await page.click('#text [data-position="29"]')
      expect(await chosen.locator('p').textContent()).toContain('not run yet')
    })

    it('shows in the inspector what the page shows, and opens what it exported', async () => {
      const trace = () => page.evaluate(() => document.querySelector('skip-inspector')?.trace)
      const before = (await trace())!
      expect(before.steps.length).toBe(PROMPT_TOKENS + 19)
      expect(before.title).toBe('SkipGPT')
      const titles = await page.$$eval('#text .token', (spans) => spans.map((span) => (span as HTMLElement).title))
      before.steps.forEach(({ attention, mlp }, i) => {
        expect(titles[i]).toContain(`ran ${(attention + mlp).replaceAll('0', '').length} of 28`)
      })
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.click('button[aria-label="Export JSON"]'),
      ])
      await page.setInputFiles('skip-inspector input[type=file]', await download.path())
      await page.getByText('30 tokens × 28 sublayers').waitFor()
      expect(await trace()).toEqual(before)
      // The next test goes on with the text: the inspector shows that again then.
      const other = { layers: 2, steps: [{ position: 0, token: 1, attention: '10', mlp: '01' }] }
      const buffer = Buffer.from(JSON.stringify(other))
      await page.setInputFiles('skip-inspector input[type=file]', { name: 'x', mimeType: 'application/json', buffer })
      await page.getByText('1 token × 4 sublayers').waitFor()
    })

    it.each(['light', 'dark'] as const)('is accessible, %s', async (colorScheme) => {
      await page.emulateMedia({ colorScheme })
      expect(await accessibilityFindings(page)).toEqual([])
      await picture(page, `demo-${colorScheme}`)
    })

    it('goes on with the conversation', async () => {
      const before = await shown(page)
      await page.fill('#addition', ' More')
      await page.click('#continue')
      await finished(page)
      const after = await shown(page)
      expect(after.slice(0, before.length - 1)).toEqual(before.slice(0, -1))
      expect(after.length).toBe(before.length + MORE_TOKENS + 20)
      expect(after[before.length - 1]?.level).toBeDefined()
      const trace = await page.evaluate(() => document.querySelector('skip-inspector')?.trace)
      expect(trace?.steps.length).toBe(after.length - 1)
      expect(trace?.steps.map(({ text }) => text || '◌').join('')).toBe(
        after
          .slice(0, -1)
          .map(({ text }) => text)
          .join(''),
      )

      await page.click('#continue')
      await finished(page)
      expect((await shown(page)).length).toBe(after.length + 20)
    })

    it('stops in the middle', async () => {
      await page.fill('#max-tokens', '400')
      await page.click('#generate')
      await page.waitForFunction(() => document.querySelectorAll('#text .token').length > 36, null, { timeout: SLOW })
      await page.click('#stop')
      await finished(page)
      expect(await page.textContent('#status')).toBe('Stopped.')
      expect((await shown(page)).length).toBeLessThan(400)
      expect(await page.isHidden('#alert')).toBe(true)
    })

    it('starts anew, with another policy', async () => {
      await page.click('#new-conversation')
      expect(await shown(page)).toEqual([])
      await page.check('input[value="dense"]')
      await page.fill('#max-tokens', '5')
      await page.fill('#prompt', '<img src=x onerror="document.title=1">\n語')
      await page.click('#generate')
      await finished(page)
      const tokens = await shown(page)
      expect(tokens.slice(0, -1).every((token) => token.level === '4')).toBe(true)
      expect((await readTotals(page)).Skipped).toBe('0 %')
      expect(await page.textContent('#text')).toContain('<img src=x onerror="document.title=1">\n◌◌語')
      expect(await page.locator('#text img').count()).toBe(0)
    })

    it('changes the policy of a text that is being written', async () => {
      await page.fill('#max-tokens', '200')
      await page.fill('#prompt', 'It was')
      await page.click('#generate')
      await page.waitForFunction(() => document.querySelectorAll('#text .token').length > 12, null, { timeout: SLOW })
      await page.check('input[value="forced"]')
      await page.waitForFunction(() => document.querySelectorAll('#text .token[data-level="2"]').length > 3, null, {
        timeout: SLOW,
      })
      await page.click('#stop')
      await finished(page)
      const tokens = await shown(page)
      expect(tokens.slice(0, 10).every((token) => token.level === '4')).toBe(true)
      expect((await readTotals(page)).Policy).toBe('By lot, 30 % to skip')
    })

    it('shows the program that does the same', async () => {
      await page.click('#embed > summary')
      const code = await page.textContent('#snippet')
      expect(code).toContain("import { forced, loadModel } from 'skipstone/worker'")
      expect(code).toContain("loadModel('./models/pebble/', { routers: './models/pebble/skipgpt-25/'")
      expect(code).toContain('forced({ skip: 0.3, seed: 1 })')
      expect(code).toContain('session.generate("It was", { maxTokens: 200')
      await page.check('input[value="chat"]')
      expect(await page.textContent('#snippet')).toContain("session.chat([{ role: 'user'")
      await page.click('#generate')
      await finished(page)
      expect(await page.textContent('#alert')).toContain('no chat template')
      await page.check('input[value="text"]')
    })

    it('says what the device does', async () => {
      expect(await readTotals(page)).toMatchObject({ Kernels: 'serial-more-rows-4' })
      expect(await page.isVisible('#software')).toBe(true)
    })

    it('shows where the time goes, or says why that cannot be told', async () => {
      await page.click('#profile')
      await finished(page)
      const view = page.locator('skip-inspector .profile')
      if (await page.isVisible('#alert')) {
        expect(await page.textContent('#alert')).toContain('This device has no timestamps')
        return
      }
      expect(await page.textContent('#status')).toContain('the inspector shows it under Speed')
      expect(await view.locator('h3').allTextContents()).toEqual([
        'The prompt, 64 tokens',
        'One generated token, at token 64',
      ])
      // Fourteen layers of attention and MLP.
      expect(await view.locator('svg').first().locator('rect').count()).toBe(28)
      await view.locator('summary').last().click()
      expect(await view.locator('table').nth(2).textContent()).toContain('attention-scores')
      expect(await accessibilityFindings(page)).toEqual([])
      await picture(page, 'demo-profile')
      await page.evaluate(() => document.querySelector('skip-inspector')!.setAttribute('view', 'grid'))
    })

    it('says in words that a setting or an address is wrong', async () => {
      await page.fill('#prompt', '')
      await page.click('#generate')
      expect(await page.textContent('#alert')).toContain('The prompt is empty')
      await page.fill('#prompt', 'x '.repeat(600))
      await page.click('#generate')
      await finished(page)
      expect(await page.textContent('#alert')).toContain('the context holds 512')
      expect(await accessibilityFindings(page)).toEqual([])

      await page.check('input[value="url"]')
      await page.click('#load')
      expect(await page.textContent('#alert')).toBe('Enter the address of a folder of model files.')
      await page.fill('#model-url', `${pages.server.origin}/nothing/`)
      await page.keyboard.press('Enter')
      await finished(page)
      expect(await page.textContent('#alert')).toBe(
        `There is no config.json in ${pages.server.origin}/nothing/; check that this is the model's folder.`,
      )
      expect(await page.getAttribute('#alert', 'role')).toBe('alert')
      errors = errors.filter((error) => !/Failed to load resource.* 404/.test(error))
    })

    it('lists what the browser keeps, and deletes it', async () => {
      await page.click('#stored > summary')
      await page.waitForSelector('#stored-list li')
      expect(await page.textContent('#stored-list .stored-url')).toContain('models/pebble/')
      const count = await page.locator('#stored-list li').count()
      await page.click('#stored-list li button')
      await page.waitForFunction((n) => document.querySelectorAll('#stored-list li').length === n - 1, count)
      expect(await page.evaluate(() => document.activeElement?.tagName)).toBe('SUMMARY')
    })

    it('reads a folder, and skips what a budget asks for', async () => {
      const folder = path.join(pages.temporary, 'with-routers')
      copyPebble(folder, 48)
      cpSync(path.join(PEBBLE, 'skipgpt-25/routers.safetensors'), path.join(folder, 'routers.safetensors'))
      await page.check('input[value="folder"]')
      await page.setInputFiles('#model-folder', folder)
      await page.check('input[value="budget"]')
      await page.fill('#share', '10')
      await page.fill('#max-tokens', '40')
      await page.fill('#prompt', 'A')
      await page.click('#generate')
      await finished(page)
      expect(await page.isHidden('#alert')).toBe(true)
      const totals = await readTotals(page)
      expect(totals).toMatchObject({ Policy: 'SkipGPT, 10 % to skip', Tokens: '42' })
      // Not calibrated, it would be about 25 %.
      expect(Math.abs(Number.parseInt(totals.Skipped ?? '', 10) - 10)).toBeLessThan(12)
    })

    it('says that a model has no routers', async () => {
      const folder = path.join(pages.temporary, 'without-routers')
      cpSync(PEBBLE, folder, { recursive: true })
      await page.setInputFiles('#model-folder', folder)
      await page.fill('#max-tokens', '3')
      await page.click('#generate')
      await finished(page)
      expect(await page.isVisible('#no-routers')).toBe(true)
      expect(await page.isHidden('#alert')).toBe(true)
      expect((await readTotals(page)).Policy).toBe('Dense')
      expect((await shown(page)).length).toBe(5)
    })
  })

  it('recovers when the device is lost', async () => {
    const page = await open({}, (page) => beforeWorker(page, LOSES_DEVICES))
    await page.fill('#max-tokens', '300')
    await page.click('#generate')
    await page.waitForFunction(() => document.querySelectorAll('#text .token').length > 33, null, { timeout: SLOW })
    await page.evaluate(() => new BroadcastChannel('lose').postMessage(''))
    await finished(page)
    expect(await page.textContent('#alert')).toContain('The GPU device was lost')
    const before = await shown(page)

    await page.fill('#max-tokens', '5')
    await page.click('#continue')
    await finished(page)
    expect(await page.isHidden('#alert')).toBe(true)
    const after = await shown(page)
    expect(after.length).toBe(before.length + 5)
    expect(after.slice(0, -1).every((token) => token.level !== undefined)).toBe(true)
    await page.close()
  })

  it('loads with progress, and can be told to stop', async () => {
    let release = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const weights = /\/models\/pebble\/[^/]+\.(safetensors|gguf)$/
    const page = await open({}, (page) =>
      page.route(weights, async (route) => {
        await held
        await route.continue().catch(() => undefined)
      }),
    )
    // It loads without being asked; asked, it goes on with that.
    await page.click('#cancel-load')
    await page.waitForSelector('#status:has-text("Stopped.")')
    expect(await page.isHidden('#load-progress')).toBe(true)
    await page.click('#load')
    await page.click('#stop')
    await finished(page)
    expect(await page.textContent('#status')).toBe('Stopped.')
    expect(await page.isHidden('#load-progress')).toBe(true)
    release()
    await page.unroute(weights)
    await page.click('#load')
    await finished(page)
    expect(await page.textContent('#status')).toBe('Pebble is loaded.')
    expect((await readTotals(page)).Model).toBe('llama, 14 layers')
    await page.close()
  })

  it('fits a narrow screen', async () => {
    const page = await open({ viewport: { width: 360, height: 740 } })
    expect(await page.isHidden('#model-form')).toBe(true)
    await page.fill('#max-tokens', '30')
    await page.fill('#prompt', 'w'.repeat(80))
    await page.click('#generate')
    await finished(page)
    await page.click('#text [data-position="10"]')
    await page.click('#settings > summary')
    await page.check('input[value="forced"]')
    const [content, screen] = await page.evaluate(() => {
      const { scrollWidth, clientWidth } = document.documentElement
      return [scrollWidth, clientWidth]
    })
    expect(content).toBe(screen)
    expect(await accessibilityFindings(page)).toEqual([])
    await picture(page, 'demo-narrow')
    await page.close()
  })

  it('says at once where WebGPU is missing', async () => {
    const page = await open({}, (page) =>
      page.addInitScript(() => Object.defineProperty(Navigator.prototype, 'gpu', { get: () => undefined })),
    )
    expect(await page.textContent('#no-webgpu')).toMatch(/does not offer WebGPU.*current Chrome/)
    expect(await page.isVisible('#no-webgpu')).toBe(true)
    expect(await page.getAttribute('#generate', 'aria-disabled')).toBe('true')
    await page.close()
  })

  it('says that there is no graphics adapter, and asks again when told to', async () => {
    const page = await open({}, (page) => beforeWorker(page, 'GPU.prototype.requestAdapter = async () => null\n'))
    await page.waitForSelector('#alert:has-text("no graphics adapter is available")')
    await page.click('#generate')
    await finished(page)
    expect(await page.textContent('#alert')).toContain('no graphics adapter is available')
    await page.close()
  })

  it('says that nothing can be kept where storage is blocked, and generates all the same', async () => {
    const blocks =
      "Object.defineProperty(globalThis, 'indexedDB', { get: () => { throw new DOMException('', 'SecurityError') } })\n"
    const page = await open({}, async (page) => {
      await page.addInitScript(blocks)
      await beforeWorker(page, blocks)
    })
    await page.fill('#max-tokens', '3')
    await page.click('#generate')
    await finished(page)
    expect(await page.textContent('#status')).toBe('Done: 3 tokens.')
    expect(await page.textContent('#warning')).toContain('the model is kept in memory, and fetched again next time')
    expect(await page.isHidden('#alert')).toBe(true)
    await page.close()
  })

  it('says what it does not do: two things at once, a web page as a model, a file that is no trace', async () => {
    const page = await open()
    await page.fill('#max-tokens', '400')
    await page.click('#generate')
    await page.waitForFunction(() => document.querySelectorAll('#text .token').length > 12, null, { timeout: SLOW })
    for (const id of ['prompt', 'load']) {
      await page.focus(`#${id}`)
      await page.keyboard.press(id === 'load' ? 'Enter' : 'Control+Enter')
      expect(await page.textContent('#status')).toMatch(/^One thing at a time/)
      await page.evaluate(() => document.getElementById('status')?.replaceChildren())
    }
    await page.click('#stop')
    await finished(page)
    expect(await page.textContent('#status')).toBe('Stopped.')

    const buffer = Buffer.from('<!doctype html>')
    await page.setInputFiles('skip-inspector input[type=file]', { name: 'x.json', mimeType: 'text/html', buffer })
    await page.waitForSelector('skip-inspector [role=alert]:has-text("Open a file that this inspector exported")')

    await page.route('**/application/**', (route) =>
      route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>x</title>' }),
    )
    await page.check('input[value="url"]')
    await page.fill('#model-url', `${pages.server.origin}/application/`)
    await page.click('#load')
    await finished(page)
    expect(await page.textContent('#alert')).toMatch(/no config\.json|web page/)
    await page.close()
  })

  it('opens and generates without a network after the first visit', async () => {
    const page = await open({ serviceWorkers: 'allow' })
    await page.fill('#max-tokens', '5')
    await page.click('#generate')
    await finished(page)
    const first = await page.textContent('#text')
    await page.evaluate(() => navigator.serviceWorker.ready)
    await page.context().setOffline(true)
    await page.reload()
    await page.fill('#max-tokens', '5')
    await page.click('#generate')
    await finished(page)
    expect(await page.textContent('#status')).toBe('Done: 5 tokens.')
    expect(await page.textContent('#text')).toBe(first)
    await page.goto(`${pages.server.origin}/demo/compare.html?x`)
    expect(await page.textContent('h1')).toMatch(/./)
    await page.close()
    // The browser notes each question to the server that got no answer.
    errors = errors.filter((error) => !error.includes('ERR_INTERNET_DISCONNECTED'))
  })

  it('tells how long the first text takes from opening the page', async () => {
    const page = await open()
    await page.waitForSelector('#status:has-text("Pebble is ready")')
    // A page that goes away waits for what it is still compiling, and the next one for it.
    await page.fill('#max-tokens', '5')
    await page.click('#generate')
    await finished(page)
    await page.addInitScript(() => {
      addEventListener('DOMContentLoaded', () => {
        const seen = () => {
          if (!document.querySelector('#text .token:not(.prompt)')) requestAnimationFrame(seen)
          else Object.assign(window, { firstText: performance.now() })
        }
        seen()
        setTimeout(() => document.getElementById('generate')?.click())
      })
    })
    await page.reload()
    await page.waitForFunction(() => 'firstText' in window)
    const ms = await page.evaluate(() => (window as unknown as { firstText: number }).firstText)
    console.log(`First text of Pebble, all files kept, shaders compiled anew: ${Math.round(ms)} ms after opening.`)
    expect(await page.textContent('#text')).toContain('Once upon a time')
    await page.close()
  })

  it('asks nothing of any other machine', () => {
    const elsewhere = [...requests].filter(
      (url) => !/^(data:|blob:)/.test(url) && new URL(url).hostname !== '127.0.0.1',
    )
    expect(requests.size).toBeGreaterThan(0)
    expect(elsewhere).toEqual([])
  })
})

/** The page, opened when `prepare` is done. */
async function open(options: BrowserContextOptions = {}, prepare?: (page: Page) => Promise<unknown>): Promise<Page> {
  // Tests answer in the server's place, which they cannot where a service worker does.
  const page = await browser.newPage({ serviceWorkers: 'block', ...options })
  page.setDefaultTimeout(SLOW)
  page.on('request', (request) => requests.add(request.url()))
  page.on('pageerror', (error) => errors.push(String(error)))
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text())
  })
  await prepare?.(page)
  await page.goto(`${pages.server.origin}/demo/index.html`)
  return page
}

/** Runs this script in the worker before its own. */
async function beforeWorker(page: Page, script: string): Promise<void> {
  await page.route('**/engine-*.js', async (route) => {
    const response = await route.fetch()
    await route.fulfill({ response, body: `${script}${await response.text()}` })
  })
}

/** Waits until the page can generate again. */
async function finished(page: Page): Promise<void> {
  await page.waitForSelector('#generate[aria-disabled="false"]', { timeout: SLOW })
}

function shown(page: Page): Promise<{ text: string | null; level: string | undefined; prompt: boolean }[]> {
  return page.$$eval('#text .token', (spans) =>
    spans.map((span) => ({
      text: span.textContent,
      level: (span as HTMLElement).dataset.level,
      prompt: span.classList.contains('prompt'),
    })),
  )
}

async function readTotals(page: Page): Promise<Record<string, string>> {
  const rows = await page.$$eval('#totals > div', (divs) =>
    divs.map((div) => [div.querySelector('dt')?.textContent ?? '', div.querySelector('dd')?.textContent ?? '']),
  )
  return Object.fromEntries(rows)
}
