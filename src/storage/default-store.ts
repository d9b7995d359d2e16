import type { ChunkStore } from './chunk-store.js'
import { openIndexedDb } from './indexed-db-store.js'
import { MemoryStore } from './memory-store.js'

export interface OpenStore {
  readonly store: ChunkStore
  /** Whether what it holds outlives the page. */
  readonly lasting: boolean
}

let opened: Promise<OpenStore> | undefined

/** The store of this site: IndexedDB, or memory where there is none. @throws `unsupported` as `openIndexedDb`. */
export function defaultStore(): Promise<OpenStore> {
  opened ??= open().catch((error: unknown) => {
    opened = undefined
    throw error
  })
  return opened
}

async function open(): Promise<OpenStore> {
  const database = await openIndexedDb()
  return database ? { store: database, lasting: true } : { store: new MemoryStore(), lasting: false }
}
