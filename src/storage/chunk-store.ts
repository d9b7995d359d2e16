import type { ChunkMarks, Ledger } from './ledger.js'

/**
 * Files in chunks, each file with its ledger. A chunk and its line in the ledger appear together or not at all, also where
 * the process is killed in between. All methods may fail with `quota` (nothing of the call is kept) or `storage`.
 */
export interface ChunkStore {
  ledger(url: string): Promise<Ledger | undefined>
  ledgers(): Promise<Ledger[]>
  /**
   * Begins a file, in place of what was stored under its address, and returns its ledger. Where that is the same file, as another tab has begun it meanwhile,
   * what is stored stays.
   */
  begin(ledger: Ledger): Promise<Ledger>
  /**
   * Adds a chunk with its marks and returns the ledger as it is then; undefined, and nothing stored, where the address
   * meanwhile stands for another file.
   */
  put(file: Ledger, index: number, chunk: Blob, marks: ChunkMarks): Promise<Ledger | undefined>
  /** The bytes of a chunk, in the memory of `into` as `readBlob` has it. */
  get(url: string, index: number, into?: ArrayBuffer): Promise<Uint8Array<ArrayBuffer> | undefined>
  /** Takes a chunk out that is missing or damaged, so that it is fetched again. */
  drop(url: string, index: number): Promise<void>
  /** Notes what turned out about the whole file: its size at its end, or that it has the published hash. */
  note(file: Ledger, found: Partial<Pick<Ledger, 'size' | 'verified'>>): Promise<void>
  delete(url: string): Promise<void>
}
