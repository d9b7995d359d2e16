import { readFileSync } from 'node:fs'
import type { Browser, BrowserContext, Page } from 'playwright'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { policies, type SkipProfile, type Sweep } from '../../src/index.js'
import { findChromium } from '../../src/node/browsers.js'
import {
  accessibilityFindings,
  type BuiltPages,
  launchChromium,
  overflow,
  picture,
  serveWithShortPebble,
  tabTo,
} from './chromium-pages.js'

// The compare page as it is built, in Chromium on its software adapter, under a policy that allows nothing inline.

const executablePath = findChromium()

/** What takes minutes on a busy machine runs among the long tests. */
const LONG = process.env.SKIPSTONE_LONG === '1'

/** Long enough for a software adapter to compile all shaders on a busy machine. */
const SLOW = 90_000
/** Short, so that finding the threshold for a budget is. */
const CONTEXT = 16
const DENSE = 's=dense.30.25.lora.stored'
const SKIPGPT = 's=skipgpt.30.25.lora.stored'

let pages: BuiltPages
let browser: Browser
/** What any page printed as an error, less what its test takes away again. */
let errors: string[] = []

interface Results {
  prompt: string
  seed: number
  results: { tokens: number[]; text: string; agreement: number; nll: number; parting: { kind: string; at: number } }[]
  sweeps?: { model: string; sweep: Sweep }[]
}

// On CI a browser that is missing is a failure; elsewhere the tests are reported as not run.
describe.skipIf(executablePath === undefined && process.env.CI === undefined)('the compare page', () => {
  beforeAll(async () => {
    pages = await serveWithShortPebble(CONTEXT)
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
    let context: BrowserContext
    let page: Page
    let saved: Results

    beforeAll(async () => {
      context = await browser.newContext({ viewport: { width: 1440, height: 900 }, serviceWorkers: 'block' })
      await context.grantPermissions(['clipboard-read', 'clipboard-write'])
      page = await open(context, `#prompt=Once+upon+a+time&tokens=10&${DENSE}&${SKIPGPT}&${DENSE}`, countDevices)
    })
    afterAll(() => context.close())

    it('runs by keyboard alone, and loads what settings share once', async () => {
      await tabTo(page, 'setting-2-policy')
      await tabTo(page, 'compare')
      await page.keyboard.press('Enter')
      expect(await page.textContent('#status')).toBe('Setting 1 (1 of 3): loading the model…')
      await finished(page)
      expect(await page.textContent('#status')).toBe('Done: 3 settings.')
      expect(await page.isHidden('#alert')).toBe(true)
      expect(await devices(page)).toEqual({ made: 1, live: 1 })
    })

    it('shows figures, and a dense setting loses nothing against itself', async () => {
      const [dense, routed, again] = await Promise.all([1, 2, 3].map((n) => figures(page, n)))
      expect(dense).toMatchObject({
        Skipped: '0 %',
        'Attention skipped': '0 %',
        'MLP skipped': '0 %',
        'Decisions as in setting 1': '100 %',
        'Parts from setting 1': 'is setting 1',
        'Weights held as': 'q8',
      })
      expect(again).toMatchObject({ 'Decisions as in setting 1': '100 %', 'Parts from setting 1': 'same text' })
      expect(again?.['Loss on setting 1’s text']).toBe(dense?.['Loss on setting 1’s text'])
      expect(await page.textContent(text(3))).toBe(await page.textContent(text(1)))
      expect(await page.locator(`${text(3)} mark`).count()).toBe(0)

      const skipped = Number.parseInt(routed?.Skipped ?? '', 10)
      expect(skipped).toBeGreaterThan(10)
      expect(skipped).toBeLessThan(45)
      const same = Number.parseFloat(routed?.['Decisions as in setting 1'] ?? '')
      expect(same).toBeGreaterThan(55)
      expect(same).toBeLessThan(90)
      expect(routed?.['Generation speed']).toMatch(/^[\d.]+ tokens\/s$/)
      expect(routed?.['Prompt speed']).toMatch(/^[\d.]+ tokens\/s$/)
      // Pebble's weights in 8 bits are 10.9 MB; what was skipped is not read.
      expect(dense?.['Weights read per token']).toBe('10.9 MB')
      expect(Number.parseFloat(routed?.['Weights read per token'] ?? '')).toBeLessThan(10.5)
    })

    it('saves results, and marks the place where a text parts from the first one', async () => {
      saved = await save(page)
      expect(saved).toMatchObject({ prompt: 'Once upon a time', seed: 1 })
      const [first, second] = saved.results
      const at = first!.tokens.findIndex((token, i) => token !== second!.tokens[i])
      expect(at).toBeGreaterThanOrEqual(0)
      expect(second!.parting).toEqual({ kind: 'parts', at })
      expect((await figures(page, 2))['Parts from setting 1']).toBe(`at token ${at + 1}`)

      const [before, mark, after] = await page
        .locator(text(2))
        .evaluate((output) => Array.from(output.childNodes, (node) => node.textContent ?? ''))
      const shared = first!.text.startsWith(before!) ? before! : 'not a part of the first text'
      expect(mark).toBe('parts here')
      expect(shared + after).toBe(second!.text)
      expect(first!.text.slice(shared.length)).not.toBe(after)
      expect(await page.locator(text(2)).evaluate((output) => output.querySelectorAll('*').length)).toBe(2)
    })

    it('draws where decisions differ, in four shapes, and says it in words', async () => {
      expect(await page.locator('#maps figure').count()).toBe(2)
      const map = page.locator('#maps figure').first()
      const label = await map.locator('svg').getAttribute('aria-label')
      expect(label).toMatch(/tokens of setting 1’s text.*both ran \d+ %.*only setting 1 ran \d+ %/)
      const marks = await page.$$eval('.map-legend path', (paths) => paths.map((mark) => mark.getAttribute('d')))
      expect(new Set(marks).size).toBe(4)
      // A dense first setting runs all: the routers can only take away.
      const counts = await map
        .locator('tbody tr')
        .evaluateAll((rows) =>
          rows.map((row) => Array.from(row.querySelectorAll('td'), (td) => Number(td.textContent))),
        )
      const sum = (i: number) => counts.reduce((all, row) => all + row[i]!, 0)
      expect(counts.length).toBe(28)
      expect([sum(1), sum(3)]).toEqual([0, 0])
      expect(sum(0) / (sum(0) + sum(2))).toBeCloseTo(saved.results[1]!.agreement, 9)
    })

    it('is accessible, wide and narrow, light and dark', async () => {
      expect(await accessibilityFindings(page)).toEqual([])
      expect(await overflow(page)).toBe(0)
      await picture(page, 'compare-light-1440')
      await page.emulateMedia({ colorScheme: 'dark' })
      await page.setViewportSize({ width: 360, height: 740 })
      expect(await overflow(page)).toBe(0)
      const lefts = await page.$$eval('.column', (columns) =>
        columns.map((column) => column.getBoundingClientRect().left),
      )
      expect(new Set(lefts).size).toBe(1)
      await picture(page, 'compare-dark-360')
      expect(await accessibilityFindings(page)).toEqual([])
      await page.emulateMedia({ colorScheme: 'light' })
      await page.setViewportSize({ width: 1440, height: 900 })
    })

    it.runIf(LONG)(
      'charts loss and speed against skipping, for every policy that needs no more weights',
      async () => {
        await page.click('#sweep')
        await finished(page, 4 * SLOW)
        expect(await page.textContent('#status')).toBe('Done: the charts are at the end of the page.')
        const headings = await page.$$eval('#chart h3', (all) => all.map((one) => one.textContent))
        expect(headings).toEqual(['Loss', 'Speed of generating', 'Speed of reading'])
        const names = await page.$$eval('#chart figure:first-child .map-legend li', (all) =>
          all.map((one) => one.textContent),
        )
        const expected = policies().filter(({ share, needs }) => share && needs !== 'weights')
        expect(names.length).toBe(expected.length)
        for (const name of ['SkipGPT', 'AdaSkip', 'AdaSkip, offline only', 'SLEB', 'By lot'])
          expect(names).toContain(`${name}, routers 25 %, with LoRA`)
        // The control costs time and no loss: it is a line of the speeds alone.
        const controls = await page.$$eval('#chart figure:last-child .map-legend li', (all) => all.length)
        expect(controls).toBe(names.length + 1)
        expect(await page.locator('#chart svg[role="img"]').first().getAttribute('aria-label')).toMatch(
          /^Loss as the share/,
        )
        const marks = await page.$$eval('#chart figure:first-child .map-legend path', (all) =>
          all.map((mark) => `${mark.getAttribute('class')} ${mark.getAttribute('d')}`),
        )
        expect(new Set(marks).size).toBe(marks.length)

        const { sweeps, results } = await save(page)
        const { sweep } = sweeps![0]!
        // Nothing skipped is the dense setting.
        expect(sweep.dense.nll).toBe(results[0]!.nll)
        for (const { policy, points } of sweep.lines) {
          for (const { skip, share, speed } of points) {
            if (policy === 'skipgpt') expect(Math.abs(skip.total - share!)).toBeLessThan(0.15)
            expect(speed!.decodeTokensPerSecond).toBeGreaterThan(0)
          }
        }
        await page.click('#chart summary >> nth=0')
        expect(await page.locator('#chart figure:first-child tbody tr').count()).toBe(
          1 + sweep.lines.filter(({ masked }) => !masked).reduce((sum, { points }) => sum + 1 + points.length, 0),
        )
        expect(await accessibilityFindings(page)).toEqual([])
        expect(await overflow(page)).toBe(0)
        await picture(page, 'compare-charts-light-1440')
        await page.emulateMedia({ colorScheme: 'dark' })
        await page.setViewportSize({ width: 360, height: 740 })
        expect(await overflow(page)).toBe(0)
        await picture(page, 'compare-charts-dark-360')
        await page.emulateMedia({ colorScheme: 'light' })
        await page.setViewportSize({ width: 1440, height: 900 })
        // The charts ran on the model that was there.
        expect(await devices(page)).toEqual({ made: 1, live: 1 })
      },
      5 * SLOW,
    )

    it('lets models go that no setting needs', async () => {
      await page.selectOption('#setting-2-dtype', 'q8')
      await page.selectOption('#setting-2-routers', '')
      await page.selectOption('#setting-2-policy', 'dense')
      await page.click('text=Remove >> nth=2')
      await page.fill('#max-tokens', '2')
      await page.click('#compare')
      await finished(page)
      expect(await page.textContent('#status')).toBe('Done: 2 settings.')
      expect((await figures(page, 2))['Weights held as']).toBe('q8')
      expect(await devices(page)).toEqual({ made: 2, live: 1 })
    })

    it('stops in the middle, and goes on after that', async () => {
      // The model that is there.
      await follow(page, '#prompt=%3Cb%3Ex&tokens=9&s=dense.0.none.plain.q8&s=forced.45.none.plain.q8')
      await page.click('#compare')
      await page.waitForFunction(() => (document.querySelector('.output')?.textContent ?? '') !== '', null, {
        timeout: SLOW,
      })
      await page.keyboard.press('Tab')
      expect(await page.evaluate(() => document.activeElement?.id)).toBe('stop')
      await page.keyboard.press('Enter')
      await finished(page)
      expect(await page.textContent('#status')).toBe('Stopped.')
      expect(await page.isHidden('#alert')).toBe(true)
      expect(await page.textContent('#columns')).toContain('Not finished.')

      await page.fill('#max-tokens', '1')
      await page.click('#compare')
      await finished(page)
      expect(await page.textContent('#status')).toBe('Done: 2 settings.')
      expect(await page.locator('.output b').count()).toBe(0)
    })

    it('keeps all that was asked in its address', async () => {
      await page.fill('#prompt', 'A & B = "C"\nü #')
      await page.fill('#seed', '77')
      await page.fill('#temperature', '0.5')
      await page.click('#add-setting')
      expect(await page.evaluate(() => document.activeElement?.id)).toBe('setting-3-policy')
      await page.fill('#setting-3-share', '15')
      await page.uncheck('#setting-3-lora')
      const before = await asked(page)
      await page.click('#copy-link')
      await page.waitForFunction(() => document.querySelector('#status')?.textContent === 'The link is copied.')
      const link = await page.evaluate(() => navigator.clipboard.readText())
      expect(link).toBe(page.url())

      await page.reload()
      expect(await asked(page)).toEqual(before)
      expect(before).toMatchObject({ prompt: 'A & B = "C"\nü #', seed: '77', 'setting-3-share': '15' })
      // A link that is pasted into this tab.
      await follow(page, '#prompt=Hello&s=forced.45.none.plain.q8&s=dense')
      expect(await page.inputValue('#prompt')).toBe('Hello')
      expect(await page.inputValue('#setting-1-share')).toBe('45')
      expect(await page.isHidden('#setting-1-lora')).toBe(true)
    })

    it.runIf(LONG)('measures a skip profile, keeps it in a file and reads it again', async () => {
      await follow(page, '#prompt=Once+upon+a+time&tokens=2&s=adaskip.25.none.plain.stored&s=dense.0.none.plain.stored')
      expect(await page.getAttribute('#save-profile', 'aria-disabled')).toBe('true')
      await tabTo(page, 'calibrate')
      await page.keyboard.press('Enter')
      await finished(page)
      expect(await page.textContent('#status')).toBe('Done: policies go by the new skip profile.')
      const now = await page.textContent('#profile-now')
      expect(now).toMatch(/^In use: measured on \d tokens of the prompt\.$/)
      const [download] = await Promise.all([page.waitForEvent('download'), page.click('#save-profile')])
      const file = await download.path()
      const profile = JSON.parse(readFileSync(file, 'utf8')) as SkipProfile
      expect(profile).toMatchObject({ format: 'skipstone-profile', text: 'given', model: { layers: 14 } })

      await page.click('#compare')
      await finished(page)
      expect(await page.textContent('#status')).toBe('Done: 2 settings.')
      const skipped = (await figures(page, 1)).Skipped
      expect(skipped).toBe('25 %')

      await page.click('#forget-profile')
      expect(await page.textContent('#profile-now')).toMatch(/beside the model/)
      await page.setInputFiles('#profile-file', file)
      await finished(page)
      expect(await page.textContent('#profile-now')).toContain(', from ')
      const held = await page.textContent('#profile-now')
      const bad = async (text: string) => {
        await page.setInputFiles('#profile-file', {
          name: 'it.json',
          mimeType: 'application/json',
          buffer: Buffer.from(text),
        })
        await finished(page)
        // What was in use stays so.
        expect(await page.textContent('#profile-now')).toBe(held)
        return page.textContent('#alert')
      }
      expect(await bad('no JSON')).toBe('it.json is no skip profile: it is not JSON.')
      expect(await bad('{}')).toMatch(/^This is no skip profile/)
      const other = { ...profile, model: { ...profile.model, fingerprint: 'another' } }
      expect(await bad(JSON.stringify(other))).toMatch(/measured on another model/)
      expect(await accessibilityFindings(page)).toEqual([])

      await page.fill('#profile-text', 'It was a dark and stormy night. '.repeat(200))
      await page.click('#calibrate')
      await page.waitForFunction(() => /^\d+ of \d+ parts/.test(document.querySelector('#detail')?.textContent ?? ''))
      await page.click('#stop')
      await finished(page)
      expect(await page.textContent('#status')).toBe('Stopped.')
      expect(await page.textContent('#profile-now')).toBe(held)
      await page.fill('#profile-text', '')
      await page.click('#forget-profile')
    })

    it('says in words what cannot run', async () => {
      expect(await page.locator('.setting:nth-child(2) .hint').isVisible()).toBe(false)
      await page.selectOption('#setting-2-policy', 'skipgpt')
      await page.selectOption('#setting-2-routers', '')
      expect(await page.locator('.setting:nth-child(2) .hint').isVisible()).toBe(true)
      await page.click('#compare')
      expect(await page.textContent('#alert')).toBe(
        'Setting 2 is to skip by routers and has none: choose its routers, or another policy.',
      )
      await page.check('#model-address')
      await page.click('#compare')
      expect(await page.textContent('#alert')).toBe('Enter the address of a folder of model files.')
      await page.fill('#model-url', `${pages.server.origin}/nothing/`)
      await page.keyboard.press('Enter')
      await finished(page)
      expect(await page.textContent('#alert')).toBe(
        `There is no config.json in ${pages.server.origin}/nothing/; check that this is the model's folder.`,
      )
      expect(await page.isHidden('#setting-2-routers')).toBe(true)
      errors = errors.filter((error) => !/Failed to load resource.* 404/.test(error))
    })
  })

  it('says at once where WebGPU is missing', async () => {
    const context = await browser.newContext({ serviceWorkers: 'block' })
    const page = await open(context, '', () => {
      Object.defineProperty(Navigator.prototype, 'gpu', { get: () => undefined })
    })
    expect(await page.textContent('#no-webgpu')).toMatch(/does not offer WebGPU.*current Chrome/)
    expect(await page.isVisible('#no-webgpu')).toBe(true)
    expect(await page.getAttribute('#compare', 'aria-disabled')).toBe('true')
    await page.click('text=Back to the demo page')
    await page.click('text=Compare settings side by side')
    expect(page.url()).toBe(`${pages.server.origin}/some/where/compare.html`)
    await context.close()
  })
})

async function open(context: BrowserContext, hash: string, script?: () => void): Promise<Page> {
  const page = await context.newPage()
  page.setDefaultTimeout(SLOW)
  page.on('pageerror', (error) => errors.push(String(error)))
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text())
  })
  await page.route('**/compare.html*', async (route) => {
    const response = await route.fetch()
    const headers = { ...response.headers(), 'content-security-policy': "default-src 'self'" }
    await route.fulfill({ response, headers })
  })
  if (script) await page.addInitScript(script)
  await page.goto(`${pages.server.origin}/some/where/compare.html${hash}`)
  return page
}

/** In the page: how many GPU devices were made, and how many of them were not destroyed. */
function countDevices(): void {
  const devices = { made: 0, live: 0 }
  const request = GPUAdapter.prototype.requestDevice
  GPUAdapter.prototype.requestDevice = async function (...args) {
    const device = await request.apply(this, args)
    devices.made++
    devices.live++
    device.lost.then(() => devices.live--)
    return device
  }
  Object.assign(window, { devices })
}

function devices(page: Page): Promise<unknown> {
  return page.evaluate(() => (window as unknown as { devices: unknown }).devices)
}

/** Goes to a link of this page in the same tab. */
async function follow(page: Page, hash: string): Promise<void> {
  await page.evaluate(async (to) => {
    const changed = new Promise((resolve) => window.addEventListener('hashchange', resolve, { once: true }))
    location.hash = to
    await changed
  }, hash)
}

/** Waits until the page can compare again. */
async function finished(page: Page, timeout = SLOW): Promise<void> {
  await page.waitForSelector('#compare[aria-disabled="false"]', { timeout })
}

const text = (setting: number) => `.column:nth-child(${setting}) .output`

async function figures(page: Page, setting: number): Promise<Record<string, string>> {
  const rows = await page.$$eval(`.column:nth-child(${setting}) dl > div`, (divs) =>
    divs.map((div) => [div.querySelector('dt')?.textContent ?? '', div.querySelector('dd')?.textContent ?? '']),
  )
  return Object.fromEntries(rows)
}

async function save(page: Page): Promise<Results> {
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('#save')])
  expect(download.suggestedFilename()).toBe('skipstone-comparison.json')
  return JSON.parse(readFileSync(await download.path(), 'utf8')) as Results
}

/** What every field of the form holds. */
async function asked(page: Page): Promise<Record<string, string>> {
  const fields = await page.$$eval('#compare-form :is(input, select, textarea)', (all) =>
    (all as HTMLInputElement[]).map((field) => [
      field.id,
      ['checkbox', 'radio'].includes(field.type) ? String(field.checked) : field.value,
    ]),
  )
  return Object.fromEntries(fields)
}
