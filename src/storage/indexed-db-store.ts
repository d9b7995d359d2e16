import { createStore, promisifyRequest, type UseStore } from 'idb-keyval'
import { SkipstoneError } from '../errors.js'
import { readBlob } from './blob-bytes.js'
import type { ChunkStore } from './chunk-store.js'
import { type ChunkMarks, isBegun, LEDGER_VERSION, type Ledger, sameFile, withChunk } from './ledger.js'

const DATABASE = 'skipstone'
const OBJECT_STORE = 'chunks'
const VERSION_KEY = 'version'

const ledgerKey = (url: string): IDBValidKey => ['ledger', url]
const chunkKey = (url: string, index: number): IDBValidKey => ['chunk', url, index]
/** Every key that begins so: an array sorts behind all strings and numbers. */
const keysUnder = (...prefix: string[]): IDBKeyRange => IDBKeyRange.bound(prefix, [...prefix, []])

/**
 * The chunks in IndexedDB. Ledgers and chunks share one object store, so that one transaction writes both.
 * Returns undefined where the browser has no IndexedDB or does not let this page use it (some private modes).
 * @throws `unsupported` where a newer version of Skipstone wrote what is there.
 */
export async function openIndexedDb(database = DATABASE): Promise<ChunkStore | undefined> {
  let use: UseStore
  let version: unknown
  try {
    // Where storage is blocked, some browsers throw as soon as it is mentioned.
    if (typeof indexedDB === 'undefined') return undefined
    use = createStore(database, OBJECT_STORE)
    version = await use('readwrite', async (store) => {
      const found = await promisifyRequest(store.get(VERSION_KEY))
      if (found === undefined) await promisifyRequest(store.put(LEDGER_VERSION, VERSION_KEY))
      return found
    })
  } catch {
    return undefined
  }
  if (typeof version === 'number' && version > LEDGER_VERSION) {
    throw new SkipstoneError(
      'unsupported',
      'The models stored by this site were written by a newer version of Skipstone; reload the page to get it, or delete the site data.',
    )
  }
  return new IndexedDbStore(use)
}

class IndexedDbStore implements ChunkStore {
  constructor(private readonly use: UseStore) {}

  ledger(url: string): Promise<Ledger | undefined> {
    return this.#run('readonly', (store) => promisifyRequest(store.get(ledgerKey(url))))
  }

  ledgers(): Promise<Ledger[]> {
    return this.#run('readonly', (store) => promisifyRequest(store.getAll(keysUnder('ledger'))))
  }

  begin(ledger: Ledger): Promise<Ledger> {
    return this.#run('readwrite', async (store) => {
      const there: Ledger | undefined = await promisifyRequest(store.get(ledgerKey(ledger.url)))
      if (isBegun(there, ledger)) return there
      store.delete(keysUnder('chunk', ledger.url))
      store.put(ledger, ledgerKey(ledger.url))
      await promisifyRequest(store.transaction)
      return ledger
    })
  }

  put(file: Ledger, index: number, chunk: Blob, marks: ChunkMarks): Promise<Ledger | undefined> {
    return this.#change(file, (now, store) => {
      // Of anything but blobs the database keeps serialised copies in the page until the garbage is collected.
      store.put(chunk, chunkKey(file.url, index))
      return withChunk(now, index, marks)
    })
  }

  async get(url: string, index: number, into?: ArrayBuffer): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const blob: Blob | undefined = await this.#run('readonly', (store) =>
      promisifyRequest(store.get(chunkKey(url, index))),
    )
    // The bytes of a blob lie outside of the database, and may be gone.
    return blob && readBlob(blob, into).catch(() => undefined)
  }

  async drop(url: string, index: number): Promise<void> {
    const file = await this.ledger(url)
    if (!file) return
    await this.#change(file, (now, store) => {
      store.delete(chunkKey(url, index))
      return withChunk(now, index, null)
    })
  }

  async note(file: Ledger, found: Partial<Pick<Ledger, 'size' | 'verified'>>): Promise<void> {
    await this.#change(file, (now) => ({ ...now, ...found }))
  }

  delete(url: string): Promise<void> {
    return this.#run('readwrite', (store) => {
      store.delete(keysUnder('chunk', url))
      store.delete(ledgerKey(url))
      return promisifyRequest(store.transaction)
    })
  }

  /** Rewrites the ledger of `file` in one transaction, unless its address stands for another file by now. */
  #change(file: Ledger, change: (now: Ledger, store: IDBObjectStore) => Ledger): Promise<Ledger | undefined> {
    return this.#run('readwrite', async (store) => {
      const now: Ledger | undefined = await promisifyRequest(store.get(ledgerKey(file.url)))
      if (!now || !sameFile(now, file)) return undefined
      const next = change(now, store)
      store.put(next, ledgerKey(file.url))
      await promisifyRequest(store.transaction)
      return next
    })
  }

  async #run<T>(mode: IDBTransactionMode, work: (store: IDBObjectStore) => T | PromiseLike<T>): Promise<T> {
    try {
      return await this.use(mode, work)
    } catch (cause) {
      throw storeFailure(cause)
    }
  }
}

function storeFailure(cause: unknown): SkipstoneError {
  if (cause instanceof Error && cause.name === 'QuotaExceededError') {
    return new SkipstoneError(
      'quota',
      'The browser gives this site no more room; delete a stored model and load again.',
      {
        cause,
      },
    )
  }
  return new SkipstoneError(
    'storage',
    `The browser's database failed (${String(cause)}); reload the page, and check that the disk is not full.`,
    { cause },
  )
}
