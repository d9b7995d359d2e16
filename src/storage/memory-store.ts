import { readBlob } from './blob-bytes.js'
import type { ChunkStore } from './chunk-store.js'
import { type ChunkMarks, isBegun, type Ledger, sameFile, withChunk } from './ledger.js'

/** Chunks in memory, for browsers that keep nothing: what it holds goes with the page. */
export class MemoryStore implements ChunkStore {
  readonly #files = new Map<string, { ledger: Ledger; chunks: Map<number, Blob> }>()

  async ledger(url: string): Promise<Ledger | undefined> {
    return this.#files.get(url)?.ledger
  }

  async ledgers(): Promise<Ledger[]> {
    return Array.from(this.#files.values(), ({ ledger }) => ledger)
  }

  async begin(ledger: Ledger): Promise<Ledger> {
    const there = this.#files.get(ledger.url)?.ledger
    if (isBegun(there, ledger)) return there
    this.#files.set(ledger.url, { ledger, chunks: new Map() })
    return ledger
  }

  async put(file: Ledger, index: number, chunk: Blob, marks: ChunkMarks): Promise<Ledger | undefined> {
    const found = this.#files.get(file.url)
    if (!found || !sameFile(found.ledger, file)) return undefined
    found.chunks.set(index, chunk)
    found.ledger = withChunk(found.ledger, index, marks)
    return found.ledger
  }

  async get(url: string, index: number, into?: ArrayBuffer): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const chunk = this.#files.get(url)?.chunks.get(index)
    return chunk && readBlob(chunk, into)
  }

  async drop(url: string, index: number): Promise<void> {
    const found = this.#files.get(url)
    found?.chunks.delete(index)
    if (found) found.ledger = withChunk(found.ledger, index, null)
  }

  async note(file: Ledger, found: Partial<Pick<Ledger, 'size' | 'verified'>>): Promise<void> {
    const held = this.#files.get(file.url)
    if (held && sameFile(held.ledger, file)) held.ledger = { ...held.ledger, ...found }
  }

  async delete(url: string): Promise<void> {
    this.#files.delete(url)
  }
}
