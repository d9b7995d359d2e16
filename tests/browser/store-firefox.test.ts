import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type BrowserPage, openPage } from '../../src/node/browser-page.js'
import { findFirefox } from '../../src/node/browsers.js'
import { CHUNK_BYTES } from '../../src/storage/ledger.js'
import { MODEL_FILE, storeWorld } from '../fixtures/store-world.js'
import type { Actions } from './store-page.js'

const SIZE = 3 * CHUNK_BYTES + 12_345

describe.skipIf(findFirefox() === undefined && process.env.CI === undefined)('the chunk store in Firefox', () => {
  let world: Awaited<ReturnType<typeof storeWorld>>
  let page: BrowserPage

  beforeAll(async () => {
    world = await storeWorld(SIZE)
    page = await openPage('firefox', world.page, { adapter: 'auto' })
  })
  afterAll(async () => {
    await page?.close()
    await world?.close()
  })

  const act = <K extends keyof Actions>(name: K, argument: Parameters<Actions[K]>[0]) =>
    page.evaluate<Awaited<ReturnType<Actions[K]>>>(name, argument)

  it('downloads, compares with the published hash, mends what is damaged, and needs no server afterwards', async () => {
    const { url } = world
    expect(await act('fetch', { url })).toEqual({ hash: world.hash, phases: ['download', 'verify'] })
    expect(world.server.starts(MODEL_FILE)).toHaveLength(4)
    await act('damage', { url, index: 2 })
    world.server.asked = []
    expect(await act('read', { url })).toBe(SIZE)
    expect(world.server.starts(MODEL_FILE)).toEqual([2 * CHUNK_BYTES])
    world.server.stop()
    expect(await act('read', { url })).toBe(SIZE)
    expect(await act('list', undefined)).toMatchObject([{ url, bytes: SIZE, size: SIZE }])
    await act('delete', { url })
    expect(await act('list', undefined)).toEqual([])
  })
})
