import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex } from '@noble/hashes/utils.js'

// Imports nothing else: what a bundler lets it share with an application would run in the worker, too.

/** Where this module lies: it is the script of a worker, too. */
export const SCRIPT = import.meta.url

/** What a worker is called that this module is to serve, and what that says first. */
export const WORKER_NAME = 'skipstone-hash'

/** SHA-256 of bytes that come in pieces. */
export function incrementalHash() {
  const hash = sha256.create()
  return {
    update(bytes: Uint8Array<ArrayBuffer>): void {
      hash.update(bytes)
    },
    digest: (): string => bytesToHex(hash.digest()),
  }
}

// Messages in: chunks of one file, in order, then null. Each is answered: chunks with themselves, null with the hash.
if ((globalThis as { name?: unknown }).name === WORKER_NAME) {
  const hash = incrementalHash()
  addEventListener('message', ({ data }: MessageEvent<Uint8Array<ArrayBuffer> | null>) => {
    if (!data) return postMessage(hash.digest())
    hash.update(data)
    postMessage(data, { transfer: [data.buffer] })
  })
  postMessage(WORKER_NAME)
}
