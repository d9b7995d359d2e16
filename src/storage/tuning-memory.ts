import { createStore, del, get, set } from 'idb-keyval'
import { SkipstoneError } from '../errors.js'

/** What training runs have reached, for a page that is opened again. Nothing is kept where there is no IndexedDB. */
export const tuningMemory = {
  /** Undefined also where the database cannot be read. */
  async get(key: string): Promise<unknown> {
    try {
      return await get(key, store())
    } catch {
      return undefined
    }
  },
  /** @throws `quota`, `storage`. */
  async set(key: string, value: unknown): Promise<void> {
    if (typeof indexedDB === 'undefined') return
    try {
      await set(key, value, store())
    } catch (cause) {
      const full = cause instanceof Error && cause.name === 'QuotaExceededError'
      throw new SkipstoneError(
        full ? 'quota' : 'storage',
        `The browser ${full ? 'has no room to keep' : 'could not keep'} what training has reached: it goes on, and a tab that is closed begins anew. Delete a stored model, or export what there is from time to time.`,
        { cause },
      )
    }
  },
  async delete(key: string): Promise<void> {
    await del(key, store()).catch(() => undefined)
  },
}

let opened: ReturnType<typeof createStore> | undefined

function store(): ReturnType<typeof createStore> {
  opened ??= createStore('skipstone-tuning', 'runs')
  return opened
}
