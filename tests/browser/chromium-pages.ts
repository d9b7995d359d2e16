import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright'
import { build } from 'vite'
import { type PageServer, startPageServer } from '../../src/node/page-server.js'
import { copyPebble } from '../fixtures/pebble.js'

const CONFIG = path.join(import.meta.dirname, '../../vite.config.ts')

export interface BuiltPages {
  /** Deleted at the end. */
  readonly temporary: string
  readonly server: PageServer
  close(): Promise<void>
}

/** The pages as they are built, on a server of this machine. */
export function serveBuiltPages(): Promise<BuiltPages> {
  return serve('/demo/', () => undefined)
}

/** The same below a folder, since pages work under any path, with a Pebble of a short context, which takes less time. */
export function serveWithShortPebble(context: number): Promise<BuiltPages> {
  return serve('/some/where/', (outDir) => {
    const pebble = path.join(outDir, 'models/pebble')
    rmSync(pebble, { recursive: true })
    copyPebble(pebble, context)
  })
}

async function serve(below: string, change: (outDir: string) => void): Promise<BuiltPages> {
  const temporary = mkdtempSync(path.join(tmpdir(), 'skipstone-pages-'))
  const outDir = path.join(temporary, 'pages')
  await build({ configFile: CONFIG, logLevel: 'error', build: { outDir } })
  change(outDir)
  const server = await startPageServer({ folders: new Map([[below, `${outDir}/`]]) })
  const close = async () => {
    await server.close()
    rmSync(temporary, { recursive: true })
  }
  return { temporary, server, close }
}

/** Presses Tab until the element with this id has the focus. */
export async function tabTo(page: Page, id: string): Promise<void> {
  for (let i = 0; i < 40; i++) {
    await page.keyboard.press('Tab')
    if ((await page.evaluate(() => document.activeElement?.id)) === id) return
  }
  throw new Error(`The tab key does not reach #${id}.`)
}

/** Pixels by which the page is wider than the window. */
export function overflow(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
}

/** A picture of the page for people to look at, where SKIPSTONE_SCREENSHOTS names a folder. */
export async function picture(page: Page, name: string): Promise<void> {
  const folder = process.env.SKIPSTONE_SCREENSHOTS
  if (folder) await page.screenshot({ path: path.join(folder, `${name}.png`), fullPage: true })
}

/** Debian's or the developer's Chromium on its software adapter, its files below a folder that the test deletes. */
export function launchChromium(executablePath: string, temporary: string): Promise<Browser> {
  return chromium.launch(launchOptions(executablePath, temporary))
}

/** The same with an extension that is loaded unpacked from `folder`. */
export function launchWithExtension(
  executablePath: string,
  temporary: string,
  folder: string,
): Promise<BrowserContext> {
  const { args, ...options } = launchOptions(executablePath, temporary)
  return chromium.launchPersistentContext(path.join(temporary, 'profile'), {
    ...options,
    args: [...args, `--disable-extensions-except=${folder}`, `--load-extension=${folder}`],
  })
}

function launchOptions(executablePath: string, temporary: string) {
  return {
    executablePath,
    chromiumSandbox: process.getuid?.() !== 0,
    env: process.platform === 'linux' ? { ...process.env, TMPDIR: temporary } : process.env,
    args: [
      '--enable-unsafe-webgpu',
      '--use-webgpu-adapter=swiftshader',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--disable-quic',
    ],
  }
}

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** What axe-core finds, but for what it calls minor. */
export async function accessibilityFindings(page: Page): Promise<string[]> {
  await page.evaluate(AXE)
  return page.evaluate(async () => {
    const { axe } = window as unknown as {
      axe: { run(): Promise<{ violations: { id: string; impact: string; nodes: { html: string }[] }[] }> }
    }
    const { violations } = await axe.run()
    return violations
      .filter(({ impact }) => impact !== 'minor')
      .map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 200)).join(' ')}`)
  })
}
