import { SkipstoneError, throwIfAborted } from '../errors.js'
import { readBlob } from './blob-bytes.js'
import { marksOf } from './chunk-marks.js'
import type { ChunkStore } from './chunk-store.js'
import { carries, discard, type HttpFolder, totalSize } from './http-folder.js'
import { type ChunkMarks, chunkRange, type Ledger, missingChunks } from './ledger.js'
import { validatorOf } from './remote-file.js'
import { withRetries } from './retry.js'

/** Requests under way at a time. */
const PARALLEL = 4

export interface DownloadOptions {
  readonly signal?: AbortSignal | undefined
  /** Bytes that came and were stored. */
  readonly onBytes?: ((bytes: number) => void) | undefined
}

/** The file on the server is no longer the one whose chunks are being fetched. */
export class FileChanged extends Error {}

/**
 * Fetches chunks of a file into the store, several at a time; `wanted` defaults to all that are missing.
 * @throws `FileChanged`; `network` where a request keeps failing, `quota`, `aborted`. What came before stays.
 */
export async function download(
  store: ChunkStore,
  folder: HttpFolder,
  ledger: Ledger,
  ranges: boolean,
  options: DownloadOptions & { readonly wanted?: readonly number[] } = {},
): Promise<void> {
  const wanted = options.wanted ?? missingChunks(ledger)
  if (wanted.length === 0 && Number.isFinite(ledger.size)) return
  if (!ranges) return streamWhole(store, folder, ledger, new Set(wanted), options)
  // One failure ends the others: what they fetch would be thrown away.
  const stop = new AbortController()
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal
  const queue = wanted.values()
  let rangesIgnored = false
  // What comes lies outside of the page as blobs; one at a time is brought into its memory, to be hashed.
  let turn = Promise.resolve(new ArrayBuffer(Math.min(ledger.chunkBytes, ledger.size)))
  const marksInTurn = async (chunk: Blob): Promise<ChunkMarks> => {
    const marked = turn.then(async (buffer) => {
      const bytes = await readBlob(chunk, buffer)
      return { marks: await marksOf(bytes), buffer: bytes.buffer }
    })
    turn = marked.then(({ buffer }) => buffer)
    return (await marked).marks
  }
  const work = async () => {
    for (const index of queue) {
      const chunk = await fetchChunk(folder, ledger, index, signal)
      if (chunk === 'whole') {
        rangesIgnored = true
        return stop.abort()
      }
      await keep(store, ledger, index, chunk, await marksInTurn(chunk))
      options.onBytes?.(chunk.size)
    }
  }
  const ends = await Promise.allSettled(
    Array.from({ length: Math.min(PARALLEL, wanted.length) }, () =>
      work().catch((error: unknown) => {
        stop.abort()
        throw error
      }),
    ),
  )
  throwIfAborted(options.signal)
  if (rangesIgnored) {
    const now = await store.ledger(ledger.url)
    const left = new Set(wanted.filter((index) => now?.chunks[index] === null || options.wanted))
    return streamWhole(store, folder, ledger, left, options)
  }
  const reasons = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason] : []))
  // The others only stopped because of the one that failed.
  const first = reasons.find((e) => !(e instanceof SkipstoneError && e.code === 'aborted')) ?? reasons[0]
  if (first) throw first
}

async function keep(store: ChunkStore, ledger: Ledger, index: number, chunk: Blob, marks: ChunkMarks): Promise<void> {
  if (!(await store.put(ledger, index, chunk, marks))) throw new FileChanged()
}

/**
 * One chunk by ranged requests. An answer that breaks off is asked for once more, and from then on continued where it stopped.
 * `whole` where the server sends the whole file instead.
 */
async function fetchChunk(
  folder: HttpFolder,
  ledger: Ledger,
  index: number,
  signal: AbortSignal | undefined,
): Promise<Blob | 'whole'> {
  const { start, end } = chunkRange(ledger, index)
  const length = end - start
  let brokeOff = false
  let bytes: Uint8Array<ArrayBuffer> | undefined
  let filled = 0
  return withRetries(async (progressed) => {
    const response = await folder.request(ledger.name, { start: start + filled, end }, signal)
    if (!carries(ledger.name, response) || response.status === 416 || !unchanged(response, ledger)) {
      await discard(response)
      throw new FileChanged()
    }
    if (response.status === 200) {
      await discard(response)
      return 'whole'
    }
    if (!startsAt(response, start + filled)) {
      await discard(response)
      throw unasked(folder, ledger, 'another part')
    }
    if (!brokeOff && Number(response.headers.get('content-length')) === length) {
      // As a blob it never becomes this page's garbage; but of one that breaks off nothing is left.
      brokeOff = true
      const chunk = await response.blob().catch((cause: unknown) => {
        throw folder.broken(ledger.name, signal, cause)
      })
      if (chunk.size !== length) throw unasked(folder, ledger, 'another length')
      return chunk
    }
    bytes ??= new Uint8Array(length)
    for await (const part of parts(folder, ledger.name, response, signal)) {
      if (part.byteLength > length - filled) throw unasked(folder, ledger, 'more')
      bytes.set(part, filled)
      filled += part.byteLength
      progressed()
    }
    if (filled < length) throw cutOff(folder, ledger)
    return new Blob([bytes])
  }, signal)
}

function unasked(folder: HttpFolder, { name }: Ledger, what: string): SkipstoneError {
  return new SkipstoneError('network', `${folder.address} sent ${what} of ${name} than was asked for; try again later.`)
}

function cutOff(folder: HttpFolder, { name }: Ledger): SkipstoneError {
  return new SkipstoneError('network', `${folder.address} stopped in the middle of ${name}; try again later.`)
}

/** Reads the file once from its beginning and keeps the wanted chunks as they pass. */
async function streamWhole(
  store: ChunkStore,
  folder: HttpFolder,
  ledger: Ledger,
  wanted: Set<number>,
  { signal, onBytes }: DownloadOptions,
): Promise<void> {
  await withRetries(async (progressed) => {
    const response = await folder.request(ledger.name, undefined, signal)
    if (!carries(ledger.name, response) || !unchanged(response, ledger)) {
      await discard(response)
      throw new FileChanged()
    }
    const chunk = new Uint8Array(ledger.chunkBytes)
    let filled = 0
    let index = 0
    const open = !Number.isFinite(ledger.size)
    const flush = async () => {
      if (open || wanted.has(index)) {
        const bytes = chunk.subarray(0, filled)
        await keep(store, ledger, index, new Blob([bytes]), await marksOf(bytes))
        wanted.delete(index)
        onBytes?.(filled)
        progressed()
      }
      index++
      filled = 0
    }
    for await (const part of parts(folder, ledger.name, response, signal)) {
      for (let at = 0; at < part.byteLength; ) {
        const count = Math.min(part.byteLength - at, chunk.byteLength - filled)
        chunk.set(part.subarray(at, at + count), filled)
        filled += count
        at += count
        if (filled === chunk.byteLength) await flush()
      }
    }
    const size = index * ledger.chunkBytes + filled
    if (size < ledger.size && !open) throw cutOff(folder, ledger)
    if (size > ledger.size) throw new FileChanged()
    if (filled > 0) await flush()
    if (open) await store.note(ledger, { size })
  }, signal)
}

async function* parts(
  folder: HttpFolder,
  name: string,
  response: Response,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const reader = response.body?.getReader()
  if (!reader) return
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      yield value as Uint8Array<ArrayBuffer>
    }
  } catch (cause) {
    throw folder.broken(name, signal, cause)
  } finally {
    reader.cancel().catch(() => undefined)
  }
}

/** A server that shows its validator in one answer and hides it in another proves nothing by it. */
function unchanged(response: Response, ledger: Ledger): boolean {
  const validator = validatorOf(response)
  if (validator !== undefined && ledger.validator !== undefined && validator !== ledger.validator) return false
  const size = response.status === 206 ? totalSize(response) : undefined
  return size === undefined || size === ledger.size
}

function startsAt(response: Response, start: number): boolean {
  const from = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1]
  return from === undefined || Number(from) === start
}
