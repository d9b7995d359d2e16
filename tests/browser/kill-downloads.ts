import { setTimeout as wait } from 'node:timers/promises'
import { expect } from 'vitest'
import { CHUNK_BYTES } from '../../src/storage/ledger.js'
import { KillableChromium } from '../fixtures/killable-chromium.js'
import { MODEL_FILE, storeWorld } from '../fixtures/store-world.js'
import type { Actions } from './store-page.js'

/**
 * Downloads `size` bytes in a browser that is killed `kills` times at random moments, and checks that nothing that a ledger
 * called complete was fetched again, and that every byte is right in the end.
 */
export async function downloadUnderKills(kills: number, size: number): Promise<void> {
  const world = await storeWorld(size)
  try {
    // Slow enough that the download outlives the kills.
    const chunks = Math.ceil(size / CHUNK_BYTES)
    let slow = true
    world.server.fault = ({ name, range }, response) => {
      if (!slow || name !== MODEL_FILE || !range || range.end - range.start === 1) return false
      const content = world.server.files.get(MODEL_FILE)!
      response.writeHead(206, {
        'content-range': `bytes ${range.start}-${range.end - 1}/${content.byteLength}`,
        etag: world.server.etag,
      })
      const middle = (range.start + range.end) >> 1
      response.write(content.subarray(range.start, middle))
      setTimeout(() => response.end(content.subarray(middle, range.end)), 400)
      return true
    }
    let progress = 0
    for (let run = 0; ; run++) {
      slow = run < kills
      const browser = await KillableChromium.start(world.profile)
      try {
        const page = await browser.page(world.page)
        await page.waitForFunction(() => 'actions' in globalThis)
        const complete = await page.evaluate(
          (url) => (globalThis as unknown as { actions: Actions }).actions.complete({ url }),
          world.url,
        )
        expect(complete.length).toBeGreaterThanOrEqual(progress)
        progress = complete.length
        world.server.asked = []
        const done = page.evaluate(
          (url) => (globalThis as unknown as { actions: Actions }).actions.fetch({ url }),
          world.url,
        )
        if (slow) {
          done.catch(() => undefined)
          await wait(200 + Math.random() * 1500)
        } else expect((await done).hash).toBe(world.hash)
        const fetched = world.server.starts(MODEL_FILE).map((start) => Math.floor(start / CHUNK_BYTES))
        expect(fetched.filter((index) => complete.includes(index))).toEqual([])
        if (!slow) break
      } finally {
        await browser.kill()
      }
    }
    expect(chunks).toBeGreaterThan(progress / 2)
  } finally {
    await world.close()
  }
}
