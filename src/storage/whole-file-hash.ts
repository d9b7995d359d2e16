import { throwIfAborted } from '../errors.js'
import type { ChunkStore } from './chunk-store.js'
import type { Ledger } from './ledger.js'

/** Bytes hashed at a time: a few milliseconds, so that a page stays responsive where there is no worker. */
const SLICE_BYTES = 256 << 10

/**
 * SHA-256 of a stored file in hexadecimal, in one pass over its chunks. In a browser it is computed in a worker; SubtleCrypto
 * hashes nothing in pieces, so a library does.
 */
export async function wholeFileHash(
  store: ChunkStore,
  ledger: Ledger,
  signal: AbortSignal | undefined,
  onBytes: (loaded: number) => void,
): Promise<string> {
  const hasher = await openHasher()
  try {
    let loaded = 0
    let next = store.get(ledger.url, 0)
    let spare: ArrayBuffer | undefined
    for (let index = 0; index < ledger.chunks.length; index++) {
      throwIfAborted(signal)
      const chunk = await next
      // Read while this one is hashed.
      next = store.get(ledger.url, index + 1, spare)
      next.catch(() => undefined)
      // Without it the hash is another one, which is what the caller asks for.
      if (!chunk) return 'incomplete'
      loaded += chunk.byteLength
      spare = await hasher.update(chunk)
      onBytes(loaded)
    }
    return await hasher.digest()
  } finally {
    hasher.close()
  }
}

interface Hasher {
  /** Takes the chunk, and gives the memory of its buffer back. */
  update(chunk: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer>
  digest(): Promise<string>
  close(): void
}

async function openHasher(): Promise<Hasher> {
  const module = await import('./incremental-hash.js')
  const worker = await openWorker(module.SCRIPT, module.WORKER_NAME)
  return worker ? new WorkerHasher(worker) : slicedHasher(module.incrementalHash())
}

/**
 * Undefined where there are no workers, the page's policy forbids this one, or the bundler left the script no file of its own that the
 * page can reach.
 */
async function openWorker(script: string, name: string): Promise<Worker | undefined> {
  if (typeof Worker === 'undefined' || script === import.meta.url) return undefined
  try {
    const worker = new Worker(script, { type: 'module', name })
    const ready = await new Promise<boolean>((resolve) => {
      worker.onmessage = ({ data }) => resolve(data === name)
      worker.onerror = () => resolve(false)
    })
    if (ready) return worker
    worker.terminate()
  } catch {
    // As above.
  }
  return undefined
}

class WorkerHasher implements Hasher {
  constructor(private readonly worker: Worker) {}

  async update(chunk: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer> {
    return (await this.#ask<Uint8Array<ArrayBuffer>>(chunk, [chunk.buffer])).buffer
  }

  digest(): Promise<string> {
    return this.#ask<string>(null, [])
  }

  close(): void {
    this.worker.terminate()
  }

  #ask<T>(message: unknown, transfer: Transferable[]): Promise<T> {
    return new Promise((resolve, reject) => {
      this.worker.onmessage = ({ data }: MessageEvent<T>) => resolve(data)
      this.worker.onerror = ({ message: text }) => reject(new Error(text))
      this.worker.postMessage(message, transfer)
    })
  }
}

function slicedHasher(hash: { update(bytes: Uint8Array<ArrayBuffer>): void; digest(): string }): Hasher {
  return {
    async update(chunk) {
      for (let at = 0; at < chunk.byteLength; at += SLICE_BYTES) {
        hash.update(chunk.subarray(at, at + SLICE_BYTES))
        await new Promise((resolve) => setTimeout(resolve))
      }
      return chunk.buffer
    },
    digest: async () => hash.digest(),
    close: () => undefined,
  }
}
