import { type BrowserContext, chromium, type Page } from 'playwright'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { findChromium } from '../../src/node/browsers.js'
import { CHUNK_BYTES } from '../../src/storage/ledger.js'
import { MODEL_FILE, storeWorld } from '../fixtures/store-world.js'
import { downloadUnderKills } from './kill-downloads.js'
import type { Actions } from './store-page.js'

// The chunk store in a real browser's database, with a server of another origin.

const executablePath = findChromium()
const SIZE = 5 * CHUNK_BYTES + 12_345

describe.skipIf(executablePath === undefined && process.env.CI === undefined)('the chunk store in Chromium', () => {
  let world: Awaited<ReturnType<typeof storeWorld>>
  let context: BrowserContext
  let page: Page

  beforeAll(async () => {
    world = await storeWorld(SIZE)
    context = await chromium.launchPersistentContext(world.profile, {
      executablePath: executablePath!,
      chromiumSandbox: process.getuid?.() !== 0,
      args: [
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        '--disable-quic',
        '--js-flags=--expose-gc',
      ],
    })
    page = await open()
  })
  afterAll(async () => {
    await context?.close()
    await world?.close()
  })
  beforeEach(async () => {
    world.server.fault = undefined
    await act(page, 'delete', { url: world.url })
    world.server.asked = []
  })

  async function open(url = world.page): Promise<Page> {
    const opened = await context.newPage()
    await opened.goto(url)
    await opened.waitForFunction(() => 'actions' in globalThis)
    return opened
  }

  it('downloads, compares with the published hash in a worker, and reads it back', async () => {
    const workers: string[] = []
    page.on('worker', (worker) => workers.push(worker.url()))
    const { hash, phases } = await act(page, 'fetch', { url: world.url })
    expect(hash).toBe(world.hash)
    expect(phases).toEqual(['download', 'verify'])
    expect(workers.length).toBeGreaterThan(0)
    expect(await act(page, 'read', { url: world.url })).toBe(SIZE)
    expect(new Set(world.server.starts(MODEL_FILE)).size).toBe(6)
    expect(world.server.starts(MODEL_FILE)).toHaveLength(6)
    expect(await act(page, 'list', undefined)).toMatchObject([{ url: world.url, bytes: SIZE, size: SIZE }])
  })

  it('downloads once for two tabs', async () => {
    const other = await open()
    const [a, b] = await Promise.all([act(page, 'fetch', { url: world.url }), act(other, 'fetch', { url: world.url })])
    expect([a.hash, b.hash]).toEqual([world.hash, world.hash])
    expect(world.server.starts(MODEL_FILE)).toHaveLength(6)
    await other.close()
  })

  it('reads to the end, whenever garbage is collected', async () => {
    await act(page, 'fetch', { url: world.url })
    expect(await act(page, 'readUnderCollection', { url: world.url, times: 10 })).toBe(10 * SIZE)
  })

  it('finds a damaged chunk and fetches that one', async () => {
    await act(page, 'fetch', { url: world.url })
    await act(page, 'damage', { url: world.url, index: 2 })
    world.server.asked = []
    expect(await act(page, 'read', { url: world.url })).toBe(SIZE)
    expect(world.server.starts(MODEL_FILE)).toEqual([2 * CHUNK_BYTES])
    await act(page, 'damage', { url: world.url, index: 4 })
    expect(await act(page, 'verify', { url: world.url })).toEqual({
      chunks: 6,
      damaged: [{ name: MODEL_FILE, chunk: 4 }],
    })
  })

  it('says where there is no room, keeps what came, and goes on once there is', async () => {
    // Another site: Chromium remembers for a while how much room one has.
    const site = world.page.replace('127.0.0.1', 'localhost')
    const small = await open(site)
    const session = await context.newCDPSession(small)
    const origin = new URL(site).origin
    await session.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 5_000_000 })
    const { error } = await act(small, 'fetch', { url: world.url })
    expect(error?.[0]).toBe('quota')
    expect(error?.[1]).toMatch(/no more room/)
    const kept = await act(small, 'complete', { url: world.url })
    expect(kept.length).toBeGreaterThan(0)
    await session.send('Storage.overrideQuotaForOrigin', { origin })
    world.server.asked = []
    expect((await act(small, 'fetch', { url: world.url })).hash).toBe(world.hash)
    expect(world.server.starts(MODEL_FILE)).toHaveLength(6 - kept.length)
    await small.close()
  })

  it('tells a server that forbids from one that is not there', async () => {
    world.server.cors = false
    const { error } = await act(page, 'fetch', { url: world.url })
    world.server.cors = true
    expect(error).toEqual(['network', expect.stringContaining('CORS')])
    const away = await act(page, 'fetch', { url: 'http://127.0.0.1:9/' })
    expect(away.error).toEqual(['network', expect.stringContaining('cannot be reached')])
  })

  it('survives its process: killed at random moments, it goes on', async () => {
    await downloadUnderKills(3, 12 * CHUNK_BYTES)
  }, 180_000)
})

function act<K extends keyof Actions>(
  page: Page,
  action: K,
  argument: Parameters<Actions[K]>[0],
): Promise<Awaited<ReturnType<Actions[K]>>> {
  return page.evaluate(
    ([name, given]) =>
      (globalThis as unknown as { actions: Record<string, (a: unknown) => Promise<never>> }).actions[name as string]!(
        given,
      ),
    [action, argument] as const,
  )
}
