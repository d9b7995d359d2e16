import { defaultStore } from '../../src/storage/default-store.js'
import { HttpFolder } from '../../src/storage/http-folder.js'
import { deleteModel, listModels, verifyModel } from '../../src/storage/library.js'
import { fromManifest } from '../../src/storage/published.js'
import { StoredSource } from '../../src/storage/stored-source.js'
import { wholeFileHash } from '../../src/storage/whole-file-hash.js'

// The page of store.test.ts: a model's file, fetched into this browser's database.

const FILE = 'model.safetensors'

async function open(url: string) {
  const { store, lasting } = await defaultStore()
  const folder = new HttpFolder(url)
  return { store, lasting, source: new StoredSource({ folder, store, published: fromManifest(folder) }) }
}

const actions = {
  /** Chunks that the ledger calls complete. */
  async complete({ url }: { url: string }): Promise<number[]> {
    const { store } = await open(url)
    const ledger = await store.ledger(`${url}${FILE}`)
    return ledger?.chunks.flatMap((hash, index) => (hash === null ? [] : [index])) ?? []
  },

  /** Downloads, and returns the hash of what is stored then, or the error. */
  async fetch({ url }: { url: string }): Promise<{ hash?: string; phases: string[]; error?: [string, string] }> {
    const { store, source } = await open(url)
    const phases = new Set<string>()
    try {
      await source.fetch([FILE], { onProgress: ({ phase }) => phases.add(phase) })
      const ledger = await store.ledger(`${url}${FILE}`)
      const hash = await wholeFileHash(store, ledger!, undefined, () => undefined)
      return { hash, phases: [...phases] }
    } catch (error) {
      const { code, message } = error as { code: string; message: string }
      return { phases: [...phases], error: [code, message] }
    }
  },

  /** Reads the file piece by piece, as a load does, and returns how many bytes came. */
  async read({ url }: { url: string }): Promise<number> {
    const { source } = await open(url)
    const size = await source.size(FILE)
    let bytes = 0
    for (let at = 0; at < size; at += 3_000_001) {
      bytes += (await source.read(FILE, { start: at, end: Math.min(size, at + 3_000_001) })).byteLength
    }
    return bytes
  },

  /** As `read`, again and again while garbage is collected all the time. Needs a browser that exposes `gc`. */
  async readUnderCollection({ url, times }: { url: string; times: number }): Promise<number> {
    let reading = true
    const collect = async () => {
      while (reading) {
        ;(globalThis as unknown as { gc: () => void }).gc()
        await new Promise((resolve) => setTimeout(resolve))
      }
    }
    const collecting = collect()
    let bytes = 0
    for (let i = 0; i < times; i++) bytes += await actions.read({ url })
    reading = false
    await collecting
    return bytes
  },

  /** Damages a stored chunk without telling its ledger. */
  async damage({ url, index }: { url: string; index: number }): Promise<void> {
    const { store } = await open(url)
    const ledger = (await store.ledger(`${url}${FILE}`))!
    const bytes = (await store.get(ledger.url, index))!
    bytes[17]! ^= 1
    await store.put(ledger, index, new Blob([bytes]), { sha256: ledger.chunks[index]!, sum: ledger.sums![index]! })
  },

  async list(_: unknown) {
    return listModels((await defaultStore()).store)
  },

  async verify({ url }: { url: string }) {
    return verifyModel((await defaultStore()).store, url)
  },

  async delete({ url }: { url: string }) {
    return deleteModel((await defaultStore()).store, url)
  },
}

export type Actions = typeof actions
// Playwright calls the one, the automation of Firefox the other.
Object.assign(globalThis, { actions, skipstoneHost: actions })
