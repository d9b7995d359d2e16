/** The layout of records; a store with a higher number was written by a newer version. */
export const LEDGER_VERSION = 1

/** Bytes of a chunk, but for the last of a file: large enough that a request's overhead is small, small enough to lose. */
export const CHUNK_BYTES = 4 << 20

/** What a chunk is told by. */
export interface ChunkMarks {
  readonly sha256: string
  /** Null in what the first versions stored. */
  readonly sum: string | null
}

/** What is stored of one file of a model. */
export interface Ledger {
  /** Where the file lies, without query: its identity. */
  readonly url: string
  /** The folder that it was asked from: its model. */
  readonly model: string
  /** Relative to `model`. */
  readonly name: string
  /** In bytes; infinite until the end of a file came whose server does not tell. */
  readonly size: number
  /** ETag or Last-Modified: another one is another file. Undefined where the server shows neither. */
  readonly validator: string | undefined
  readonly chunkBytes: number
  /** SHA-256 in hexadecimal of each chunk that is stored, null for those that are missing. */
  readonly chunks: readonly (string | null)[]
  /** `checksum` of each chunk that is stored; the first versions noted none. */
  readonly sums?: readonly (string | null)[]
  /** The published hash of the whole file that its chunks were found to have. */
  readonly verified?: string
  /** The server has no such file: remembered, so that a model loads without a network as it does with one. */
  readonly absent?: true
}

/** A file of which nothing is stored yet. */
export function emptyLedger(
  file: Pick<Ledger, 'url' | 'model' | 'name' | 'size' | 'validator'>,
  chunkBytes = CHUNK_BYTES,
): Ledger {
  const chunks = Number.isFinite(file.size) ? Math.ceil(file.size / chunkBytes) : 0
  return { ...file, chunkBytes, chunks: new Array(chunks).fill(null) }
}

/** Whether both mean the same bytes, as far as a server tells. */
export function sameFile(
  a: Pick<Ledger, 'size' | 'validator' | 'absent'>,
  b: Pick<Ledger, 'size' | 'validator' | 'absent'>,
): boolean {
  return a.size === b.size && a.validator === b.validator && a.absent === b.absent
}

/** Whether `ledger` is a beginning of what `there` has begun. */
export function isBegun(there: Ledger | undefined, ledger: Ledger): there is Ledger {
  return there?.chunkBytes === ledger.chunkBytes && sameFile(there, ledger)
}

/** Where chunk `index` lies in its file, `end` exclusive. */
export function chunkRange(ledger: Ledger, index: number): { start: number; end: number } {
  const start = index * ledger.chunkBytes
  return { start, end: Math.min(start + ledger.chunkBytes, ledger.size) }
}

/** The chunks that hold bytes `start` to `end`, first and last, both included; none for an empty range. */
export function chunksOf(ledger: Ledger, start: number, end: number): number[] {
  if (end <= start) return []
  const first = Math.floor(start / ledger.chunkBytes)
  const last = Math.floor((end - 1) / ledger.chunkBytes)
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
}

export function missingChunks(ledger: Ledger): number[] {
  return ledger.chunks.flatMap((hash, index) => (hash === null ? [index] : []))
}

/** Bytes of the file that are stored. */
export function storedBytes(ledger: Ledger): number {
  return ledger.chunks.reduce((sum, hash, index) => {
    const { start, end } = chunkRange(ledger, index)
    return hash === null ? sum : sum + end - start
  }, 0)
}

export function isComplete(ledger: Ledger): boolean {
  return Number.isFinite(ledger.size) && ledger.chunks.every((hash) => hash !== null)
}

/** The ledger with a chunk's marks, or without them. A chunk behind the last one known makes the file longer. */
export function withChunk(ledger: Ledger, index: number, marks: ChunkMarks | null): Ledger {
  // Whatever was found of the whole file held for the chunks as they were.
  const { verified: _, ...rest } = ledger
  const base = marks === null ? rest : ledger
  const chunks = [...ledger.chunks]
  const sums = [...(ledger.sums ?? [])]
  chunks[index] = marks?.sha256 ?? null
  sums[index] = marks?.sum ?? null
  return { ...base, chunks, sums }
}
