import { readFileSync } from 'node:fs'
import path from 'node:path'
import { type BrowserContext, chromium, type Page } from 'playwright'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findChromium } from '../../src/node/browsers.js'
import { hubConfig, hubWeights } from '../../tools/peers/models/hub-files.js'
import { peerModel } from '../../tools/peers/models/shapes.js'
import type { Actions } from '../browser/load-page.js'
import { MODEL_FILE, storeWorld } from '../fixtures/store-world.js'

// syn-135m in f32, 540 MB: what a load holds in the page's process.

const MB = 1e6

describe.skipIf(findChromium() === undefined && process.env.CI === undefined)('loading 540 MB', () => {
  let world: Awaited<ReturnType<typeof storeWorld>>
  let browser: BrowserContext
  let page: Page

  beforeAll(async () => {
    const model = await peerModel('syn-135m')
    world = await storeWorld(await hubWeights(model), path.join(import.meta.dirname, '../browser/load-page.ts'))
    world.server.files.set('config.json', Buffer.from(JSON.stringify(hubConfig(model.config))))
    // A profile on disk: without one, Chromium keeps what is stored in memory, and loses some of it.
    browser = await chromium.launchPersistentContext(world.profile, {
      executablePath: findChromium()!,
      chromiumSandbox: process.getuid?.() !== 0,
      args: [
        '--enable-unsafe-webgpu',
        '--use-webgpu-adapter=swiftshader',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        '--disable-quic',
      ],
    })
    page = await browser.newPage()
  }, 300_000)
  afterAll(async () => {
    await browser?.close()
    await world?.close()
  })

  it('holds little of it in the page, from the network and from the database', async () => {
    for (const from of ['network', 'database']) {
      await page.goto(world.page)
      await page.waitForFunction(() => 'actions' in globalThis)
      world.server.asked = []
      const watch = await watchMemory(browser, page)
      const { gpuBytes, ms } = await page.evaluate(
        (url) => (globalThis as unknown as { actions: Actions }).actions.load({ url }),
        world.url,
      )
      const { buffers, priv } = await watch.stop()
      const bare = await page.evaluate((args) => (globalThis as unknown as { actions: Actions }).actions.bare(args), {
        url: world.url,
        file: MODEL_FILE,
      })
      const figures = Object.entries(ms).map(([phase, value]) => `${phase} ${value.toFixed(0)} ms`)
      console.log(
        `from the ${from}: ${figures.join(', ')}; bare read ${bare.read.toFixed(0)} ms, upload ${bare.upload.toFixed(0)} ms, ` +
          `both ${bare.both.toFixed(0)} ms, with pipelines ${bare.compiling.toFixed(0)} ms; over idle: buffers ${(buffers / MB).toFixed(1)} MB, private memory ${(priv / MB).toFixed(1)} MB`,
      )
      expect(gpuBytes).toBeGreaterThan(500 * MB)
      expect(world.server.starts(MODEL_FILE).length > 0).toBe(from === 'network')
      expect(buffers).toBeLessThan(64 * MB)
      expect(priv).toBeLessThan(64 * MB)
    }
  })
})

/** The most that the page's process holds over what it held before: buffers of JavaScript, and private memory. */
async function watchMemory(context: BrowserContext, page: Page) {
  const session = await context.browser()!.newBrowserCDPSession()
  const inPage = await context.newCDPSession(page)
  await inPage.send('HeapProfiler.collectGarbage')
  const { processInfo } = await session.send('SystemInfo.getProcessInfo')
  const renderers = processInfo.filter(({ type }) => type === 'renderer').map(({ id }) => id)
  const read = async () => {
    const usage = (await inPage.send('Runtime.getHeapUsage')) as { backingStorageSize?: number }
    return { buffers: usage.backingStorageSize ?? 0, priv: Math.max(...renderers.map(privateBytes)) }
  }
  const idle = await read()
  const most = { ...idle }
  let going = true
  const sampling = (async () => {
    while (going) {
      const now = await read()
      most.buffers = Math.max(most.buffers, now.buffers)
      most.priv = Math.max(most.priv, now.priv)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  })()
  return {
    async stop() {
      going = false
      await sampling
      await Promise.all([session.detach(), inPage.detach()])
      return { buffers: most.buffers - idle.buffers, priv: most.priv - idle.priv }
    },
  }
}

function privateBytes(pid: number): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  const kilobytes = [...text.matchAll(/^Private_\w+:\s+(\d+) kB/gm)].reduce((sum, [, kB]) => sum + Number(kB), 0)
  return 1024 * kilobytes
}
