import type { Browser, Page } from 'playwright'
import { SkipstoneError } from '../errors.js'
import type { AdapterName } from './adapters.js'
import { findChromium } from './browsers.js'
import { LAUNCH_TIMEOUT_MS, type LaunchOptions, type RawPage } from './raw-page.js'
import { TemporaryFolder } from './temporary-folder.js'

/** Starts a Chromium of its own for one page, driven by Playwright. */
export async function launchChromium({ adapter, onConsole }: LaunchOptions): Promise<RawPage> {
  const executablePath = findChromium()
  if (executablePath === undefined) {
    throw new SkipstoneError(
      'not-found',
      'Chromium was not found: run `apt-get install chromium` or `npx playwright install chromium`, or set ' +
        'SKIPSTONE_CHROMIUM to its path.',
    )
  }
  const folder = await TemporaryFolder.create()
  let browser: Browser | undefined
  const close = async () => {
    await browser?.close()
    await folder.remove()
  }
  try {
    browser = await startBrowser(executablePath, adapter, folder.path)
    const page = await browser.newPage()
    page.on('console', (message) => onConsole(message.type(), message.text()))
    page.on('pageerror', (error) => onConsole('error', String(error)))
    return {
      gone: whenGone(browser, page),
      goto: async (url) => {
        await page.goto(url)
      },
      // Playwright's parameter types unwrap handles, which a plain JSON argument never contains.
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
  const { chromium } = await importPlaywright()
  return chromium.launch({
    executablePath,
    headless: true,
    timeout: LAUNCH_TIMEOUT_MS,
    // The sandbox refuses to start for root.
    chromiumSandbox: process.getuid?.() !== 0,
    // A Chromium that is killed leaves its socket's folder behind. Elsewhere than on Linux, paths are too long for that.
    env: process.platform === 'linux' ? { ...process.env, TMPDIR: temporary } : process.env,
    args: [
      '--enable-unsafe-webgpu',
      ...(adapter === 'swiftshader' ? ['--use-webgpu-adapter=swiftshader'] : []),
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--disable-quic',
    ],
  })
}

function whenGone(browser: Browser, page: Page): Promise<void> {
  return new Promise((resolve) => {
    page.once('crash', () => resolve())
    page.once('close', () => resolve())
    browser.once('disconnected', () => resolve())
  })
}

async function importPlaywright(): Promise<typeof import('playwright')> {
  try {
    return await import('playwright')
  } catch (cause) {
    throw new SkipstoneError('not-found', 'Driving Chromium needs Playwright: run `npm install playwright`.', { cause })
  }
}
