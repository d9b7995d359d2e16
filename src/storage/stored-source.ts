import { SkipstoneError, throwIfAborted } from '../errors.js'
import { isAsStored } from './chunk-marks.js'
import type { ChunkStore } from './chunk-store.js'
import { download, FileChanged } from './download.js'
import type { HttpFolder } from './http-folder.js'
import { chunkRange, chunksOf, emptyLedger, isComplete, type Ledger, sameFile, storedBytes } from './ledger.js'
import { exclusively } from './lock.js'
import type { Published } from './published.js'
import { probe } from './remote-file.js'
import { isOverload, withRetries } from './retry.js'
import { makeRoom, withAdvice } from './room.js'
import { type ByteRange, type FetchOptions, type FileSource, notFound, resolveRange } from './source.js'
import { wholeFileHash } from './whole-file-hash.js'

/** Of a file that is read on and on: one chunk is read from the store while another one is hashed. */
const AHEAD = [1, 2]

/** Chunks held in memory: the one that is read, and those ahead of it. */
const CHUNKS_HELD = 1 + AHEAD.length

/** How often a file may change under a download before that is an error. */
const CHANGES = 3

export interface StoredSourceOptions {
  readonly folder: HttpFolder
  readonly store: ChunkStore
  /** The address names one version for ever: what is stored needs no question to the server. */
  readonly immutable?: boolean
  readonly published?: Published
  /** Default `CHUNK_BYTES`. */
  readonly chunkBytes?: number
}

interface OpenFile {
  readonly ledger: Ledger
  /** Undefined where the server was not asked or did not answer. */
  readonly ranges: boolean | undefined
}

/**
 * A folder on a server whose files are kept in a chunk store: what is there is read from there, what is missing is fetched,
 * chunk by chunk. Every chunk is compared with its checksum in the ledger when it is first read; a damaged one is fetched again.
 * Without a network it gives what was stored.
 */
export class StoredSource implements FileSource {
  readonly description: string
  readonly #files = new Map<string, Promise<OpenFile | undefined>>()
  readonly #checked = new Set<string>()
  /** In the order of their last use. */
  readonly #held = new Map<string, Promise<Uint8Array<ArrayBuffer>>>()
  /** Buffers of chunks that are no longer held, for those to come. */
  readonly #spare: ArrayBuffer[] = []
  /** Where the last read of each file ended. */
  readonly #ends = new Map<string, number>()
  #readers = 0

  constructor(private readonly options: StoredSourceOptions) {
    this.description = options.folder.address
  }

  async has(name: string, signal?: AbortSignal): Promise<boolean> {
    return (await this.#find(name, signal)) !== undefined
  }

  async size(name: string, signal?: AbortSignal): Promise<number> {
    return (await this.#sized(name, signal)).size
  }

  async read(name: string, range?: ByteRange, signal?: AbortSignal, target?: Uint8Array): Promise<Uint8Array> {
    throwIfAborted(signal)
    const ledger = await this.#sized(name, signal)
    const { start, end } = resolveRange(this, name, ledger.size, range)
    // While a file is read from its beginning to its end, the next chunk comes while this one is used.
    const goesOn = start === this.#ends.get(name)
    this.#ends.set(name, end)
    const chunkAt = async (index: number) => {
      const chunk = await this.#hold(name, ledger, index, signal)
      for (const next of goesOn ? AHEAD : []) {
        const isStored = (ledger.chunks[index + next] ?? null) !== null
        if (isStored) this.#hold(name, ledger, index + next, undefined).catch(() => undefined)
      }
      return chunk
    }
    const fits = target !== undefined && target.byteLength >= end - start
    const bytes = fits ? target.subarray(0, end - start) : new Uint8Array(end - start)
    this.#readers++
    try {
      for (const index of chunksOf(ledger, start, end)) {
        const at = chunkRange(ledger, index).start
        const chunk = await chunkAt(index)
        const from = Math.max(start - at, 0)
        bytes.set(chunk.subarray(from, Math.min(end - at, chunk.byteLength)), at + from - start)
      }
    } finally {
      this.#readers--
    }
    return bytes
  }

  /**
   * Fetches what is missing of these files and compares them with their published hashes, where there are any.
   * @throws `network`, `quota`, `corrupt`, `not-found`, `aborted`. What came before a failure stays.
   */
  async fetch(names: readonly string[], { signal, onProgress }: FetchOptions = {}): Promise<void> {
    const open = await Promise.all(names.map((name) => this.#open(name, signal)))
    const total = open.reduce((sum, { ledger }) => sum + (Number.isFinite(ledger.size) ? ledger.size : 0), 0)
    const have = open.map(({ ledger }) => storedBytes(ledger))
    const report = (index: number) => (bytes: number) => {
      have[index] = bytes
      onProgress?.({ phase: 'download', loaded: have.reduce((sum, n) => sum + n, 0), total })
    }
    for (const [index, name] of names.entries()) await this.#complete(name, signal, report(index))
    for (const name of names) await this.#verify(name, signal, onProgress)
  }

  async #open(name: string, signal: AbortSignal | undefined): Promise<OpenFile> {
    const found = await this.#find(name, signal)
    if (!found) throw notFound(this, name)
    return found
  }

  /** With a size that is known: where only the end of the file tells it, the file is fetched. */
  async #sized(name: string, signal: AbortSignal | undefined): Promise<Ledger> {
    const { ledger } = await this.#open(name, signal)
    if (Number.isFinite(ledger.size)) return ledger
    await this.#complete(name, signal)
    return (await this.#open(name, signal)).ledger
  }

  #find(name: string, signal: AbortSignal | undefined): Promise<OpenFile | undefined> {
    const known = this.#files.get(name)
    if (known) return known
    const finding = this.#identify(name, signal).catch((error: unknown) => {
      this.#files.delete(name)
      throw error
    })
    this.#files.set(name, finding)
    return finding
  }

  /** What the address stands for: asked of the server where that may have changed, else what is stored. */
  async #identify(name: string, signal: AbortSignal | undefined): Promise<OpenFile | undefined> {
    const { folder, store, immutable, published } = this.options
    const url = folder.url(name)
    const identity = { url: `${url.origin}${url.pathname}`, model: folder.address, name }
    const stored = await store.ledger(identity.url)
    if (stored && immutable) return stored.absent ? undefined : { ledger: stored, ranges: undefined }
    let remote: Awaited<ReturnType<typeof probe>>
    try {
      const mayBeThere = (stored && !stored.absent) || (await published?.lists(name, signal)) !== false
      // With something stored, a server that is away is no reason to wait for it.
      const ask = () => probe(folder, name, signal)
      remote = mayBeThere ? await (stored ? ask() : withRetries(ask, signal, isOverload)) : undefined
    } catch (error) {
      const away = error instanceof SkipstoneError && error.code === 'network'
      if (!away || !stored) throw error
      return stored.absent ? undefined : { ledger: stored, ranges: undefined }
    }
    if (!remote) {
      const absent: Ledger = { ...emptyLedger({ ...identity, size: 0, validator: undefined }), absent: true }
      if (!stored?.absent) await withAdvice(store, folder.address, () => store.begin(absent))
      return undefined
    }
    const size = remote.size ?? (stored?.absent ? undefined : stored?.size) ?? Number.POSITIVE_INFINITY
    const now = { size, validator: remote.validator }
    if (stored && sameFile(stored, now)) return { ledger: stored, ranges: remote.ranges }
    const empty = emptyLedger({ ...identity, ...now }, this.options.chunkBytes)
    const ledger = await withAdvice(store, folder.address, () => store.begin(empty))
    return { ledger, ranges: remote.ranges }
  }

  /** Fetches what is missing of a file. One tab does it; the others wait, and find it done. */
  async #complete(name: string, signal: AbortSignal | undefined, onStored?: (bytes: number) => void): Promise<void> {
    for (let changes = 0; ; changes++) {
      const { ledger } = await this.#open(name, signal)
      onStored?.(storedBytes(ledger))
      if (isComplete(ledger)) return
      try {
        return await this.#fetchMissing(name, ledger.url, signal, onStored)
      } catch (error) {
        if (!(error instanceof FileChanged)) throw error
        if (changes === CHANGES) throw changing(this.description, name)
        this.#forget(name)
      }
    }
  }

  async #fetchMissing(
    name: string,
    url: string,
    signal: AbortSignal | undefined,
    onStored?: (bytes: number) => void,
  ): Promise<void> {
    const { folder, store } = this.options
    const { ranges = true } = await this.#open(name, signal)
    const watch = watchProgress(store, url, onStored)
    await exclusively(url, signal, async () => {
      watch.stop()
      const ledger = await store.ledger(url)
      if (!ledger || ledger.absent) throw new FileChanged()
      if (!isComplete(ledger)) {
        let bytes = storedBytes(ledger)
        const onBytes = (more: number) => {
          bytes += more
          onStored?.(bytes)
        }
        await makeRoom(store, ledger)
        await withAdvice(store, folder.address, () => download(store, folder, ledger, ranges, { signal, onBytes }))
      }
      const done = await store.ledger(url)
      if (!done || !isComplete(done)) throw new FileChanged()
      onStored?.(storedBytes(done))
      this.#files.set(name, Promise.resolve({ ledger: done, ranges }))
    }).finally(watch.stop)
  }

  #hold(
    name: string,
    ledger: Ledger,
    index: number,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const key = `${index} ${ledger.url}`
    const chunk = this.#held.get(key) ?? this.#load(name, ledger, index, key, signal)
    this.#held.delete(key)
    this.#held.set(key, chunk)
    for (const [oldest, bytes] of this.#held) {
      if (this.#held.size <= CHUNKS_HELD) break
      this.#held.delete(oldest)
      // Another reader may be about to use it.
      if (this.#readers <= 1) bytes.then(({ buffer }) => this.#spare.push(buffer)).catch(() => undefined)
    }
    return chunk
  }

  async #load(
    name: string,
    ledger: Ledger,
    index: number,
    key: string,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array<ArrayBuffer>> {
    try {
      const chunk = (await this.#storedChunk(ledger, index, key)) ?? (await this.#refetch(name, index, signal))
      this.#checked.add(key)
      return chunk
    } catch (error) {
      this.#held.delete(key)
      throw error
    }
  }

  /** A stored chunk, where it is what its ledger says. */
  async #storedChunk(ledger: Ledger, index: number, key: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const { store } = this.options
    const chunk = await store.get(ledger.url, index, this.#spare.pop())
    if (!chunk) return undefined
    const { start, end } = chunkRange(ledger, index)
    if (chunk.byteLength !== end - start) return undefined
    if (this.#checked.has(key)) return chunk
    // Another tab may have stored it since.
    const noted = ledger.chunks[index] ? ledger : ((await store.ledger(ledger.url)) ?? ledger)
    return (await isAsStored(chunk, noted, index)) ? chunk : undefined
  }

  /** Fetches one chunk that is missing, or is not what its ledger says. */
  async #refetch(name: string, index: number, signal: AbortSignal | undefined): Promise<Uint8Array<ArrayBuffer>> {
    const { folder, store } = this.options
    const { ledger, ranges = true } = await this.#open(name, signal)
    return exclusively(ledger.url, signal, async () => {
      const key = `${index} ${ledger.url}`
      const meanwhile = await this.#storedChunk(ledger, index, key)
      if (meanwhile) return meanwhile
      await store.drop(ledger.url, index)
      try {
        await withAdvice(store, folder.address, () =>
          download(store, folder, ledger, ranges, { signal, wanted: [index] }),
        )
      } catch (error) {
        if (error instanceof FileChanged) throw changing(this.description, name)
        throw error
      }
      const chunk = await store.get(ledger.url, index)
      if (chunk) return chunk
      throw changing(this.description, name)
    })
  }

  /** Compares a whole file with its published hash, once per download. */
  async #verify(name: string, signal: AbortSignal | undefined, onProgress: FetchOptions['onProgress']): Promise<void> {
    const { store, published } = this.options
    const { ledger } = await this.#open(name, signal)
    if (ledger.verified !== undefined || !published) return
    const expected = await published.hash(name, signal)
    if (expected === undefined) return
    const hash = () =>
      wholeFileHash(store, ledger, signal, (loaded) => onProgress?.({ phase: 'verify', loaded, total: ledger.size }))
    if ((await hash()) !== expected) {
      await this.#reconcile(name, ledger, signal)
      if ((await hash()) !== expected) {
        throw new SkipstoneError(
          'corrupt',
          `${name} from ${this.description} is not the file that was published (SHA-256 ${expected.slice(0, 12)}…); delete the model and load it again, or ask its publisher.`,
        )
      }
    }
    await store.note(ledger, { verified: expected })
  }

  /** Some chunk was damaged on its way, nobody knows which: each is fetched until it came twice the same. */
  async #reconcile(name: string, ledger: Ledger, signal: AbortSignal | undefined): Promise<void> {
    const { folder, store } = this.options
    const { ranges = true } = await this.#open(name, signal)
    await exclusively(ledger.url, signal, async () => {
      const seen = ledger.chunks.map((hash) => new Set([hash]))
      let open = ledger.chunks.map((_, index) => index)
      for (let round = 0; open.length > 0 && round < CHANGES; round++) {
        await download(store, folder, ledger, ranges, { signal, wanted: open })
        const now = await store.ledger(ledger.url)
        open = open.filter((index) => {
          const hash = now?.chunks[index] ?? null
          const agreed = seen[index]?.has(hash)
          seen[index]?.add(hash)
          return !agreed
        })
      }
    })
    this.#checked.clear()
    this.#held.clear()
    this.#forget(name)
  }

  #forget(name: string): void {
    this.#files.delete(name)
  }
}

/** Reports what another tab stores while this one waits for it. */
function watchProgress(store: ChunkStore, url: string, onStored: ((bytes: number) => void) | undefined) {
  const timer = onStored
    ? setInterval(() => {
        store.ledger(url).then(
          (ledger) => ledger && onStored(storedBytes(ledger)),
          () => undefined,
        )
      }, 1000)
    : undefined
  return { stop: () => clearInterval(timer) }
}

function changing(description: string, name: string): SkipstoneError {
  return new SkipstoneError(
    'network',
    `${name} in ${description} changes while it is read; load again once its publisher is done.`,
  )
}
