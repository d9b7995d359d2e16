import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import type { Browser, Page } from 'puppeteer-core'
import { SkipstoneError } from '../errors.js'
import { type AdapterName, driverEnvironment, requireDriverManifest } from './adapters.js'
import { findFirefox } from './browsers.js'
import { LAUNCH_TIMEOUT_MS, type LaunchOptions, type RawPage } from './raw-page.js'
import { TemporaryFolder } from './temporary-folder.js'

/** Starts a Firefox of its own for one page, driven by Puppeteer over WebDriver BiDi. */
export async function launchFirefox({ adapter, onConsole }: LaunchOptions): Promise<RawPage> {
  const executablePath = findFirefox()
  if (executablePath === undefined) {
    throw new SkipstoneError(
      'not-found',
      'Firefox was not found: install it, for example with `apt-get install firefox-esr`, or set SKIPSTONE_FIREFOX ' +
        'to its path.',
    )
  }
  const folder = await TemporaryFolder.create()
  let browser: Browser | undefined
  let watch: PageWatch | undefined
  const close = async () => {
    watch?.stop()
    await browser?.close()
    await folder.remove()
  }
  try {
    browser = await startBrowser(executablePath, adapter, folder.path)
    const page = (await browser.pages())[0] ?? (await browser.newPage())
    page.on('console', (message) => onConsole(message.type(), message.text()))
    page.on('pageerror', (error) => onConsole('error', String(error)))
    const watching = new PageWatch(browser, page)
    watch = watching
    return {
      gone: watching.gone,
      goto: async (url) => {
        await page.goto(url)
        await watching.start()
      },
      evaluate: <A, T>(pageFunction: (argument: A) => Promise<T>, argument: A) =>
        page.evaluate(pageFunction as (argument: unknown) => Promise<T>, argument),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

async function startBrowser(executablePath: string, adapter: AdapterName, temporary: string): Promise<Browser> {
  const driver = adapter === 'lavapipe' ? driverEnvironment(requireDriverManifest('lavapipe')) : {}
  const { launch } = await importPuppeteer()
  const userDataDir = path.join(temporary, 'profile')
  await mkdir(userDataDir)
  return launch({
    browser: 'firefox',
    executablePath,
    headless: true,
    timeout: LAUNCH_TIMEOUT_MS,
    protocolTimeout: 0, // none: an evaluation may take as long as a model does
    userDataDir,
    // Firefox does not start without a writable home, and would leave caches in the user's.
    env: { ...process.env, ...driver, HOME: temporary },
    extraPrefsFirefox: {
      'dom.webgpu.enabled': true,
      'gfx.webgpu.ignore-blocklist': true,
      'gfx.webgpu.force-enabled': true,
    },
  })
}

/**
 * Notices that a page is gone. Firefox does not tell when a tab's process crashes, and answers to what was asked before
 * never come; but a question that is asked afterwards fails, or is answered by another document. So one is asked every
 * second, without waiting for answers, because a busy page answers late.
 */
class PageWatch {
  readonly gone: Promise<void>
  readonly #page: Page
  #reportGone = (): void => {}
  #timer: NodeJS.Timeout | undefined

  constructor(browser: Browser, page: Page) {
    this.#page = page
    this.gone = new Promise((resolve) => {
      this.#reportGone = resolve
      browser.once('disconnected', resolve)
      page.once('close', () => resolve())
    })
  }

  /** Watches the document that is loaded now. */
  async start(): Promise<void> {
    const born = await this.#documentBirth()
    const check = () =>
      this.#documentBirth().then((now) => {
        if (now !== born) this.#reportGone()
      }, this.#reportGone)
    this.#timer = setInterval(check, 1000)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #documentBirth(): Promise<unknown> {
    return this.#page.evaluate('performance.timeOrigin')
  }
}

async function importPuppeteer(): Promise<typeof import('puppeteer-core')> {
  try {
    return await import('puppeteer-core')
  } catch (cause) {
    throw new SkipstoneError('not-found', 'Driving Firefox needs Puppeteer: run `npm install puppeteer-core`.', {
      cause,
    })
  }
}
