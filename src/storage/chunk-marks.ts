import { checksum } from './checksum.js'
import type { ChunkMarks, Ledger } from './ledger.js'
import { sha256 } from './sha256.js'

export async function marksOf(bytes: Uint8Array<ArrayBuffer>): Promise<ChunkMarks> {
  return { sha256: await sha256(bytes), sum: checksum(bytes) }
}

/** Whether these are the bytes that were stored as chunk `index`, as far as the fastest mark tells. */
export async function isAsStored(bytes: Uint8Array<ArrayBuffer>, ledger: Ledger, index: number): Promise<boolean> {
  const sum = ledger.sums?.[index] ?? null
  return sum === null ? ledger.chunks[index] === (await sha256(bytes)) : sum === checksum(bytes)
}
