import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Browser, Page } from 'playwright'
import { build } from 'vite'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { InspectorTrace } from '../../src/inspector/index.js'
import { findChromium } from '../../src/node/browsers.js'
import { type PageServer, startPageServer } from '../../src/node/page-server.js'
import { syntheticTrace } from '../inspector/synthetic.js'
import { accessibilityFindings, launchChromium, picture } from './chromium-pages.js'
import type { Tools } from './inspector-page/page.js'

// The element on a page that allows nothing inline and, under trusted types, no HTML from strings.

const executablePath = findChromium()
const TRACE = syntheticTrace({ layers: 12, tokens: 200, margins: true })
/** For what is drawn a frame later. */
const POLL = { timeout: 10_000 }

let temporary: string
let server: PageServer
let browser: Browser
let page: Page
let errors: string[] = []

// On CI a browser that is missing is a failure; elsewhere the tests are reported as not run.
describe.skipIf(executablePath === undefined && process.env.CI === undefined)('<skip-inspector>', () => {
  beforeAll(async () => {
    temporary = mkdtempSync(path.join(tmpdir(), 'skipstone-inspector-'))
    const root = path.join(import.meta.dirname, 'inspector-page')
    const outDir = path.join(temporary, 'page')
    const target = 'es2022'
    await build({
      configFile: false,
      root,
      base: './',
      logLevel: 'error',
      build: { outDir, target, modulePreload: false },
    })
    server = await startPageServer({ folders: new Map([['/inspector/', `${outDir}/`]]) })
    browser = await launchChromium(executablePath!, temporary)
    page = await open({ width: 1440, height: 900 })
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

  it('follows a session as it goes, and passes its steps through', async () => {
    const shown = await page.evaluate(
      async (trace) => {
        const { tools } = window as unknown as { tools: Tools }
        const steps = await tools.live(trace, 10, 1)
        return { steps, trace: tools.inspector.trace }
      },
      syntheticTrace({ layers: 12, tokens: 80 }),
    )
    expect(shown.steps).toBe(1 + 70)
    const { steps, next } = shown.trace!
    // The last token was chosen and is not run.
    expect(steps.length).toBe(79)
    expect(next?.origin).toBe('generated')
    const expected = syntheticTrace({ layers: 12, tokens: 80 }).steps
    expect(steps.map(({ attention, mlp }) => attention + mlp)).toEqual(
      expected.slice(0, 79).map(({ attention, mlp }) => attention + mlp),
    )
    expect(steps[0]).toMatchObject({ text: '<s>', special: true })
    await page.getByRole('tab', { name: 'Speed' }).click()
    expect(await page.locator('.speed .figures').textContent()).toMatch(
      /^Prompt: 10 tokens, .* Generated: 70 tokens in/,
    )
  })

  it('opens a saved trace, and its views tell the same', async () => {
    await openFile(page, JSON.stringify(TRACE))
    await page.getByText('200 tokens × 24 sublayers').waitFor()
    await page.getByRole('tab', { name: 'Ratios' }).click()
    // Views are drawn on the next frame, whenever that comes.
    const attention = async () => (await page.locator('.ratios-view, .ratios').locator('td').allTextContents())[0]
    const share = TRACE.steps.filter((step) => step.attention[0] === '0').length / 200
    await expect.poll(attention, POLL).toContain(`${Math.round(100 * share)} %`)
    await page.getByRole('tab', { name: 'Text' }).click()
    await expect.poll(() => page.locator('[data-position]').count(), POLL).toBe(200)
    expect(await page.locator('[data-position="3"]').textContent()).toBe(TRACE.steps[3]!.text || '◌')
    await page.locator('[data-position="3"]').click()
    const ran = [...(TRACE.steps[3]!.attention + TRACE.steps[3]!.mlp)].filter((bit) => bit === '1').length
    const chosen = () => page.locator('.chosen p').textContent()
    await expect.poll(chosen, POLL).toContain(`ran ${ran} of 24 sublayers`)
    const cells = await page
      .locator('.decisions tbody tr:nth-child(2) td')
      .evaluateAll((all) => all.map((td) => td.querySelector('.visually-hidden')?.textContent))
    expect(cells).toEqual([...TRACE.steps[3]!.mlp].map((bit) => (bit === '1' ? 'ran' : 'skipped')))
  })

  it('draws squares for attention, diamonds for MLPs and dots for what was skipped', async () => {
    await page.getByRole('tab', { name: 'Grid' }).click()
    const trace: InspectorTrace = {
      layers: 1,
      steps: [
        { position: 0, token: 1, attention: '1', mlp: '1' },
        { position: 1, token: 1, attention: '0', mlp: '0' },
      ],
    }
    await openFile(page, JSON.stringify(trace))
    await page.getByText('2 tokens × 2 sublayers').waitFor()
    // How much of each 12 × 12 cell is inked: position 0 attention, MLP; position 1 attention, MLP.
    const inked = await page.locator('canvas').evaluate(async (canvas: HTMLCanvasElement) => {
      await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))
      const context = canvas.getContext('2d')!
      const at = (column: number, row: number) => {
        // Inside the cell, clear of the line above a column.
        const { data } = context.getImageData(46 + column * 12, 96 + row * 12, 11, 11)
        const corner = Array.from(data.subarray(0, 3)).join()
        const centre = Array.from(data.subarray(4 * (5 * 11 + 5), 4 * (5 * 11 + 5) + 3)).join()
        const side = Array.from(data.subarray(4 * (5 * 11 + 1), 4 * (5 * 11 + 1) + 3)).join()
        return { cornerAsCentre: corner === centre, sideAsCentre: side === centre, centre }
      }
      return [at(0, 0), at(0, 1), at(1, 0), at(1, 1)]
    })
    const [square, diamond, ...dots] = inked
    expect(square).toMatchObject({ cornerAsCentre: true, sideAsCentre: true })
    expect(diamond).toMatchObject({ cornerAsCentre: false, sideAsCentre: true })
    expect(square!.centre).not.toBe(diamond!.centre)
    for (const dot of dots) expect(dot).toMatchObject({ cornerAsCentre: false, sideAsCentre: false })
  })

  it('can be used by keyboard alone', async () => {
    await openFile(page, JSON.stringify(TRACE))
    await page.getByRole('tab', { name: 'Grid' }).focus()
    await page.keyboard.press('ArrowRight')
    expect(await page.getByRole('tab', { name: 'Text' }).getAttribute('aria-selected')).toBe('true')
    await page.keyboard.press('Home')
    await page.keyboard.press('Tab')
    const grid = page.getByRole('application')
    for (let i = 0; i < 4 && !(await grid.evaluate((e) => e.matches(':focus'))); i++) await page.keyboard.press('Tab')
    for (const key of ['Home', 'ArrowRight', 'ArrowRight', 'ArrowDown', 'ArrowDown', 'ArrowDown']) {
      await page.keyboard.press(key)
    }
    expect(await page.evaluate(() => document.querySelector('skip-inspector')?.selected)).toBe(2)
    const bit = TRACE.steps[2]!.attention[1]
    const words = `layer 1, attention: ${bit === '1' ? 'ran' : 'skipped'}, margin`
    await expect.poll(() => page.locator('.readout').textContent()).toContain(words)
    // And said to who does not see it.
    expect(await page.locator('p[aria-live]').textContent()).toContain(words)
    await page.keyboard.press('End')
    expect(await page.evaluate(() => document.querySelector('skip-inspector')?.selected)).toBe(199)
    expect(await page.evaluate(() => (window as unknown as { tools: Tools }).tools.selections.at(-1))).toBe(199)
  })

  it('has a table behind the picture', async () => {
    await page.locator('.table summary').click()
    const row = page.locator('.table tbody tr').first()
    // It opens at the chosen token.
    expect(await row.locator('th').textContent()).toBe('150')
    expect(await row.locator('.pattern').allTextContents()).toEqual([
      TRACE.steps[150]!.attention,
      TRACE.steps[150]!.mlp,
    ])
    await page.getByRole('button', { name: 'Previous page' }).click()
    expect(await row.locator('th').textContent()).toBe('100')
    await page.locator('.table summary').click()
  })

  it('exports JSON that opens again, CSV and a picture', async () => {
    const json = await saved(page, 'Export JSON')
    expect(json.name).toBe('Pebble-SkipGPT.json')
    expect(JSON.parse(json.bytes.toString())).toEqual(TRACE)
    await openFile(page, JSON.stringify({ layers: 1, steps: [] }))
    await page.getByText('0 tokens').waitFor()
    await openFile(page, json.bytes.toString())
    await page.getByText('200 tokens × 24 sublayers').waitFor()

    const csv = await saved(page, 'Export CSV')
    expect(csv.bytes.toString().trim().split('\r\n').length).toBeGreaterThanOrEqual(201)
    const png = await saved(page, 'Export PNG')
    expect(png.bytes.subarray(1, 4).toString()).toBe('PNG')
    const width = png.bytes.readUInt32BE(16)
    const height = png.bytes.readUInt32BE(20)
    expect(width).toBeGreaterThan(1000)
    expect(height).toBeGreaterThan(24 * 12)
  })

  it.each([
    ['text', 'hello', /not JSON/],
    ['another file', '{"a":1}', /“layers”/],
    ['a trace cut short', JSON.stringify(TRACE).slice(0, 5000), /not JSON/],
  ])('says what is wrong with a file: %s', async (_, content, words) => {
    await openFile(page, content)
    const alert = page.getByRole('alert')
    await alert.waitFor()
    expect(await alert.textContent()).toMatch(words)
    // What was shown stays.
    expect(await page.getByText('200 tokens × 24 sublayers').isVisible()).toBe(true)
  })

  it('never takes text of a model for HTML', async () => {
    const steps = [{ position: 0, token: 1, text: '<img src=x onerror=alert(1)>', attention: '1', mlp: '0' }]
    await openFile(page, JSON.stringify({ title: '<b>x</b>', layers: 1, steps }))
    await page.getByRole('tab', { name: 'Text' }).click()
    expect(await page.locator('[data-position="0"]').textContent()).toBe(steps[0]!.text)
    expect(await page.locator('skip-inspector img').count()).toBe(0)
    expect(await page.locator('.caption b').textContent()).toBe('<b>x</b>')
    await page.getByRole('tab', { name: 'Grid' }).click()
  })

  it('draws what is in view of 4,000 tokens × 64 sublayers, and no more', async () => {
    const frames = await page.evaluate(
      async (trace) => {
        const { inspector } = (window as unknown as { tools: Tools }).tools
        inspector.trace = trace
        const scroller = inspector.shadowRoot!.querySelector('.grid-scroller')!
        const canvas = inspector.shadowRoot!.querySelector('canvas')!
        const frame = () => new Promise((resolve) => requestAnimationFrame(resolve))
        await frame()
        await frame()
        const times: number[] = []
        const cells: number[] = []
        for (let i = 0; i < 60; i++) {
          scroller.scrollLeft += 700
          const start = performance.now()
          await frame()
          await frame()
          times.push((performance.now() - start) / 2)
          cells.push(Number(canvas.dataset.cells))
        }
        return { cells: Math.max(...cells), least: Math.min(...cells), median: times.sort((a, b) => a - b)[30] }
      },
      syntheticTrace({ layers: 32, tokens: 4000 }),
    )
    console.log(`4,000 × 64, scrolling: ${frames.median?.toFixed(1)} ms a frame, ${frames.cells} cells drawn`)
    expect(frames.least).toBeGreaterThan(1000)
    // 1440 px of columns at 12 px, and all 64 rows.
    expect(frames.cells).toBeLessThanOrEqual(64 * 121)
  })

  it.each([
    ['light', 1440],
    ['dark', 1440],
    ['light', 360],
    ['dark', 360],
  ] as const)('is accessible and fits: %s, %i px', async (colorScheme, width) => {
    await page.emulateMedia({ colorScheme })
    await page.setViewportSize({ width, height: 900 })
    await openFile(page, JSON.stringify(TRACE))
    for (const name of ['Text', 'Ratios', 'Speed', 'Grid']) {
      await page.getByRole('tab', { name }).click()
      expect(await accessibilityFindings(page), name).toEqual([])
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
      expect(overflow, name).toBeLessThanOrEqual(0)
    }
    await page.getByRole('application').click({ position: { x: 120, y: 150 } })
    expect(await page.locator('.chosen p').textContent()).toMatch(/^Position \d+/)
    expect(await accessibilityFindings(page)).toEqual([])
    await picture(page, `inspector-${colorScheme}-${width}`)
  })
})

async function open(viewport: { width: number; height: number }): Promise<Page> {
  const context = await browser.newContext({ viewport })
  const opened = await context.newPage()
  opened.on('pageerror', (error) => errors.push(String(error)))
  opened.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text())
  })
  await opened.goto(`${server.origin}/inspector/index.html`)
  return opened
}

/** As the reader picks it. */
async function openFile(page: Page, content: string): Promise<void> {
  const buffer = Buffer.from(content)
  await page.getByLabel('Trace file').setInputFiles({ name: 'trace.json', mimeType: 'application/json', buffer })
}

async function saved(page: Page, button: string): Promise<{ name: string; bytes: Buffer }> {
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: button }).click(),
  ])
  return { name: download.suggestedFilename(), bytes: readFileSync(await download.path()) }
}
