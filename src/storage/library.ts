import { throwIfAborted } from '../errors.js'
import type { ChunkStore } from './chunk-store.js'
import { chunkRange, isComplete, type Ledger, storedBytes } from './ledger.js'
import { sha256 } from './sha256.js'

/** A model of which something is stored. */
export interface StoredModel {
  /** The folder that it came from: what `deleteModel` and the others take. */
  readonly url: string
  /** Bytes that are stored. */
  readonly bytes: number
  /** Bytes that its files have; more than `bytes` where a download is unfinished. */
  readonly size: number
  readonly files: readonly StoredFile[]
}

export interface StoredFile {
  readonly name: string
  readonly bytes: number
  readonly size: number
  readonly complete: boolean
}

export interface Verification {
  /** Chunks that were compared with the hash that was noted when they came. */
  readonly chunks: number
  /** Chunks that were missing or damaged; they are fetched again when the model is loaded the next time. */
  readonly damaged: readonly { readonly name: string; readonly chunk: number }[]
}

export async function listModels(store: ChunkStore): Promise<StoredModel[]> {
  const models = new Map<string, StoredFile[]>()
  for (const ledger of await store.ledgers()) {
    if (ledger.absent) continue
    const files = models.get(ledger.model) ?? []
    const bytes = storedBytes(ledger)
    const complete = isComplete(ledger)
    files.push({ name: ledger.name, bytes, size: Number.isFinite(ledger.size) ? ledger.size : bytes, complete })
    models.set(ledger.model, files)
  }
  const sum = (files: readonly StoredFile[], key: 'bytes' | 'size') => files.reduce((total, f) => total + f[key], 0)
  return Array.from(models, ([url, files]) => ({ url, files, bytes: sum(files, 'bytes'), size: sum(files, 'size') }))
}

/** Bytes stored of a model; 0 where there are none. */
export async function modelSize(store: ChunkStore, model: string): Promise<number> {
  return (await listModels(store)).find(({ url }) => url === model)?.bytes ?? 0
}

/** Compares every stored chunk of a model with its hash. What differs is taken out, so that it is fetched again. */
export async function verifyModel(
  store: ChunkStore,
  model: string,
  options: { signal?: AbortSignal; onProgress?: (loaded: number, total: number) => void } = {},
): Promise<Verification> {
  const ledgers = await ledgersOf(store, model)
  const total = ledgers.reduce((sum, ledger) => sum + storedBytes(ledger), 0)
  const damaged: { name: string; chunk: number }[] = []
  let chunks = 0
  let buffer: ArrayBuffer | undefined
  let loaded = 0
  for (const ledger of ledgers) {
    for (const [index, hash] of ledger.chunks.entries()) {
      if (hash === null) continue
      throwIfAborted(options.signal)
      const chunk = await store.get(ledger.url, index, buffer)
      buffer = chunk?.buffer
      if (!chunk || (await sha256(chunk)) !== hash) {
        await store.drop(ledger.url, index)
        damaged.push({ name: ledger.name, chunk: index })
      }
      chunks++
      const { start, end } = chunkRange(ledger, index)
      loaded += end - start
      options.onProgress?.(loaded, total)
    }
  }
  return { chunks, damaged }
}

/** Deletes what is stored of a model; nothing happens where there is nothing. */
export async function deleteModel(store: ChunkStore, model: string): Promise<void> {
  for (const { url } of await ledgersOf(store, model)) await store.delete(url)
}

async function ledgersOf(store: ChunkStore, model: string): Promise<Ledger[]> {
  return (await store.ledgers()).filter((ledger) => ledger.model === model)
}
