import { createHash } from 'node:crypto'
import 'fake-indexeddb/auto'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { SkipstoneError } from '../../src/errors.js'
import type { ChunkStore } from '../../src/storage/chunk-store.js'
import { HttpFolder } from '../../src/storage/http-folder.js'
import { openIndexedDb } from '../../src/storage/indexed-db-store.js'
import type { Ledger } from '../../src/storage/ledger.js'
import { deleteModel, listModels, modelSize, verifyModel } from '../../src/storage/library.js'
import { MemoryStore } from '../../src/storage/memory-store.js'
import { fromManifest } from '../../src/storage/published.js'
import { StoredSource, type StoredSourceOptions } from '../../src/storage/stored-source.js'
import { FileServer } from '../fixtures/file-server.js'

const CHUNK = 100
/** Nine chunks and a half. */
const CONTENT = Uint8Array.from({ length: 950 }, (_, i) => (i * 31 + (i >> 8)) & 0xff)
const STARTS = [0, 100, 200, 300, 400, 500, 600, 700, 800, 900]

let server: FileServer
let base: string
let databases = 0

beforeEach(async () => {
  server = new FileServer()
  server.files.set('w.bin', CONTENT)
  base = await server.start()
  // Waits between attempts are what is cut short here, not the attempts.
  vi.spyOn(Math, 'random').mockReturnValue(-0.49)
})
afterEach(() => {
  server.stop()
  vi.restoreAllMocks()
})

const marksIn = ({ chunks, sums }: Ledger, index: number) => ({ sha256: chunks[index]!, sum: sums![index]! })
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const sorted = (numbers: readonly number[]): number[] => [...numbers].sort((a, b) => a - b)
const failsWith = (code: string): object => expect.objectContaining({ name: 'SkipstoneError', code })

function openSource(store: ChunkStore, options: Partial<StoredSourceOptions> = {}): StoredSource {
  return new StoredSource({ folder: new HttpFolder(base), store, chunkBytes: CHUNK, ...options })
}

const STORES: readonly [string, () => Promise<ChunkStore>][] = [
  ['memory', async () => new MemoryStore()],
  ['IndexedDB', async () => (await openIndexedDb(`test ${databases++}`)) as ChunkStore],
]

describe.each(STORES)('with a store in %s', (_, openStore) => {
  let store: ChunkStore
  beforeEach(async () => {
    store = await openStore()
  })

  it('keeps what another tab has begun, unless that is another file', async () => {
    const source = openSource(store)
    await source.fetch(['w.bin'])
    const [stored] = await store.ledgers()
    const empty = { ...stored!, chunks: stored!.chunks.map(() => null), sums: undefined }
    expect(await store.begin(empty)).toEqual(stored)
    expect((await store.ledger(stored!.url))!.chunks).toEqual(stored!.chunks)
    const other = { ...empty, validator: 'another' }
    expect(await store.begin(other)).toEqual(other)
    expect(await store.get(stored!.url, 0)).toBeUndefined()
  })

  it('fetches every chunk once, and none the next time', async () => {
    const source = openSource(store)
    const progress: number[] = []
    await source.fetch(['w.bin'], { onProgress: ({ loaded }) => progress.push(loaded) })
    expect(sorted(server.starts('w.bin'))).toEqual(STARTS)
    expect(await source.read('w.bin')).toEqual(CONTENT)
    expect(progress.at(-1)).toBe(950)
    expect(progress).toEqual(sorted(progress))
    server.asked = []
    const again = openSource(store)
    await again.fetch(['w.bin'])
    expect(await again.read('w.bin')).toEqual(CONTENT)
    expect(server.starts('w.bin')).toEqual([])
  })

  it('reads any range, and fetches only the chunks that hold it', async () => {
    const source = openSource(store)
    expect(await source.size('w.bin')).toBe(950)
    expect(await source.read('w.bin', { start: 150, end: 320 })).toEqual(CONTENT.slice(150, 320))
    expect(server.starts('w.bin')).toEqual([100, 200, 300])
    expect(await source.read('w.bin', { start: 940, end: 950 })).toEqual(CONTENT.slice(940))
    expect(await source.read('w.bin', { start: 5, end: 5 })).toEqual(new Uint8Array())
    await expect(source.read('w.bin', { start: 940, end: 951 })).rejects.toEqual(failsWith('bad-file'))
    await expect(source.read('v.bin')).rejects.toEqual(failsWith('not-found'))
  })

  it('goes on where an abort stopped it', async () => {
    const abort = new AbortController()
    const onProgress = ({ loaded }: { loaded: number }) => loaded >= 300 && abort.abort()
    await expect(openSource(store).fetch(['w.bin'], { signal: abort.signal, onProgress })).rejects.toEqual(
      failsWith('aborted'),
    )
    const [ledger] = await store.ledgers()
    const kept = ledger!.chunks.flatMap((hash, index) => (hash === null ? [] : [index * CHUNK]))
    expect(kept.length).toBeGreaterThanOrEqual(3)
    server.asked = []
    const source = openSource(store)
    await source.fetch(['w.bin'])
    // A request that was under way when the abort came may still arrive.
    expect(new Set(server.starts('w.bin'))).toEqual(new Set(STARTS.filter((start) => !kept.includes(start))))
    expect(await source.read('w.bin')).toEqual(CONTENT)
  })

  it('continues answers that break off', async () => {
    let cuts = 0
    server.fault = ({ range }, response) => {
      if (!range || range.end - range.start < 40 || cuts++ % 2 === 1) return false
      response.writeHead(206, {
        'content-range': `bytes ${range.start}-${range.end - 1}/950`,
        etag: '"1"',
        'content-length': range.end - range.start,
      })
      response.write(CONTENT.subarray(range.start, range.start + 30))
      setTimeout(() => response.destroy(), 5)
      return true
    }
    const source = openSource(store)
    await source.fetch(['w.bin'])
    expect(await source.read('w.bin')).toEqual(CONTENT)
    expect(server.starts('w.bin').some((start) => start % CHUNK === 30)).toBe(true)
  })

  it('waits and asks again after 5xx and 429, and gives up on what does not pass', async () => {
    const failures = new Map<number, number>()
    server.fault = ({ range }, response) => {
      const start = range?.start ?? -1
      const before = failures.get(start) ?? 0
      failures.set(start, before + 1)
      if (before % 3 === 2) return false
      response.writeHead(before % 3 === 0 ? 503 : 429, { 'retry-after': '0' }).end()
      return true
    }
    const source = openSource(store)
    await source.fetch(['w.bin'])
    expect(await source.read('w.bin')).toEqual(CONTENT)

    let asked = 0
    server.fault = (_asked, response) => {
      asked++
      response.writeHead(401).end()
      return true
    }
    await expect(openSource(await openStore()).read('w.bin')).rejects.toThrow(/sign-in/)
    expect(asked).toBe(1)
  })

  it('takes a file that is sent whole in place of a part', async () => {
    server.fault = ({ range }, response) => {
      if (!range || range.start < 300) return false
      response.writeHead(200, { etag: '"1"', 'content-length': 950 }).end(CONTENT)
      return true
    }
    const source = openSource(store)
    await source.fetch(['w.bin'])
    expect(await source.read('w.bin')).toEqual(CONTENT)
    expect(server.starts('w.bin').filter((start) => start === -1)).toHaveLength(1)
  })

  it.each([true, false])('streams a file once from a server without ranges (length told: %s)', async (lengths) => {
    server.ranges = false
    server.lengths = lengths
    const source = openSource(store)
    await source.fetch(['w.bin'])
    expect(await source.read('w.bin')).toEqual(CONTENT)
    expect(await source.size('w.bin')).toBe(950)
    expect(server.starts('w.bin')).toEqual([-1])
    server.asked = []
    expect(await openSource(store).read('w.bin')).toEqual(CONTENT)
    expect(server.starts('w.bin')).toEqual([])
  })

  it.each([
    ['shorter', 100],
    ['longer', -100],
  ])('refuses a file that is %s than the server says', async (_name, by) => {
    server.fault = ({ range }, response) => {
      if (!range) return false
      const said = 950 + by
      const real = CONTENT.subarray(range.start, Math.min(range.end, 950))
      if (real.length === 0) response.writeHead(416, { 'content-range': `bytes */${said}` }).end()
      else response.writeHead(206, { 'content-range': `bytes ${range.start}-${range.end - 1}/${said}` }).end(real)
      return true
    }
    const source = openSource(store)
    if (by > 0) await expect(source.fetch(['w.bin'])).rejects.toEqual(failsWith('network'))
    else {
      // What was promised is there; nobody can know of the rest.
      await source.fetch(['w.bin'])
      expect(await source.read('w.bin')).toEqual(CONTENT.slice(0, 850))
    }
  })

  it('refuses another part than the one that was asked for', async () => {
    server.fault = ({ range }, response) => {
      if (!range || range.end - range.start === 1) return false
      response.writeHead(206, { 'content-range': `bytes 0-${range.end - range.start - 1}/950` })
      response.end(CONTENT.subarray(0, range.end - range.start))
      return range.start > 0
    }
    await expect(openSource(store).read('w.bin', { start: 500, end: 600 })).rejects.toEqual(failsWith('network'))
  })

  it('begins anew where the file changed meanwhile', async () => {
    const other = CONTENT.map((byte) => byte ^ 0xff)
    server.fault = ({ range }) => {
      if (range?.start === 400) {
        server.files.set('w.bin', other)
        server.etag = '"2"'
      }
      return false
    }
    const source = openSource(store)
    await source.fetch(['w.bin'])
    expect(await source.read('w.bin')).toEqual(other)
    server.etag = '"3"'
    server.files.set('w.bin', CONTENT.slice(0, 500))
    server.fault = undefined
    expect(await openSource(store).read('w.bin')).toEqual(CONTENT.slice(0, 500))
  })

  it('needs no server for what is stored, and none at all where the address never changes', async () => {
    const source = openSource(store)
    await source.fetch(['w.bin'])
    expect(await source.has('routers.bin')).toBe(false)
    server.asked = []
    const fixed = openSource(store, { immutable: true })
    expect(await fixed.read('w.bin')).toEqual(CONTENT)
    expect(await fixed.has('routers.bin')).toBe(false)
    expect(server.asked).toEqual([])
    server.stop()
    const offline = openSource(store)
    await offline.fetch(['w.bin'])
    expect(await offline.read('w.bin')).toEqual(CONTENT)
    expect(await offline.has('routers.bin')).toBe(false)
    await expect(offline.has('never-asked.bin')).rejects.toEqual(failsWith('network'))
  })

  it('fetches a damaged or deleted chunk again, and nothing else', async () => {
    await openSource(store).fetch(['w.bin'])
    const [ledger] = await store.ledgers()
    const bytes = (await store.get(ledger!.url, 4)) as Uint8Array<ArrayBuffer>
    await store.put(ledger!, 4, new Blob([bytes.map((byte) => byte ^ 1)]), marksIn(ledger!, 4))
    await store.drop(ledger!.url, 7)
    server.asked = []
    const source = openSource(store)
    expect(await source.read('w.bin')).toEqual(CONTENT)
    expect(sorted(server.starts('w.bin'))).toEqual([400, 700])
  })

  it('compares chunks of a ledger without checksums by their hashes', async () => {
    await openSource(store).fetch(['w.bin'])
    const [{ sums: _, ...old }] = (await store.ledgers()) as [Ledger]
    const chunks = await Promise.all(old.chunks.map((_, index) => store.get(old.url, index)))
    await store.begin({ ...old, chunks: old.chunks.map(() => null) })
    for (const [index, bytes] of chunks.entries()) {
      const damaged = index === 4 ? bytes!.map((byte) => byte ^ 1) : bytes!
      await store.put(old, index, new Blob([damaged]), { sha256: old.chunks[index]!, sum: null })
    }
    server.asked = []
    expect(await openSource(store).read('w.bin')).toEqual(CONTENT)
    expect(server.starts('w.bin')).toEqual([400])
  })

  it('compares a file with its published hash, once', async () => {
    const manifest = { files: [{ path: 'w.bin', sha256: sha256(CONTENT) }] }
    server.files.set('manifest.json', Buffer.from(JSON.stringify(manifest)))
    const published = () => ({ published: fromManifest(new HttpFolder(base)) })
    const phases: string[] = []
    await openSource(store, published()).fetch(['w.bin'], { onProgress: ({ phase }) => phases.push(phase) })
    expect(phases).toContain('verify')
    phases.length = 0
    await openSource(store, published()).fetch(['w.bin'], { onProgress: ({ phase }) => phases.push(phase) })
    expect(phases).not.toContain('verify')
  })

  it('asks for what a manifest does not name, unless that calls itself complete', async () => {
    const files = [{ path: 'w.bin', sha256: sha256(CONTENT) }]
    server.files.set('manifest.json', Buffer.from(JSON.stringify({ files })))
    server.files.set('unnamed.bin', CONTENT)
    const published = fromManifest(new HttpFolder(base))
    expect(await openSource(store, { published }).has('unnamed.bin')).toBe(true)
  })

  it('asks for nothing that a complete manifest does not name, and knows that without the server too', async () => {
    const files = [{ path: 'w.bin', sha256: sha256(CONTENT) }]
    server.files.set('manifest.json', Buffer.from(JSON.stringify({ files, complete: true })))
    const source = () => openSource(store, { published: fromManifest(new HttpFolder(base)) })
    expect(await source().has('other.bin')).toBe(false)
    expect(await source().has('other.bin')).toBe(false)
    expect(await source().has('w.bin')).toBe(true)
    expect(server.asked.map(({ name }) => name)).not.toContain('other.bin')
    server.stop()
    expect(await source().has('other.bin')).toBe(false)
  })

  it('finds bits that flip on their way, where a hash is published', async () => {
    const manifest = { files: [{ path: 'w.bin', sha256: sha256(CONTENT) }] }
    server.files.set('manifest.json', Buffer.from(JSON.stringify(manifest)))
    let answers = 0
    server.fault = ({ name, range }, response) => {
      // Every seventh answer has a wrong bit.
      if (name !== 'w.bin' || !range || range.end - range.start === 1 || answers++ % 7 !== 3) return false
      const wrong = CONTENT.slice(range.start, range.end)
      wrong[10]! ^= 4
      response.writeHead(206, { 'content-range': `bytes ${range.start}-${range.end - 1}/950`, etag: '"1"' }).end(wrong)
      return true
    }
    const source = openSource(store, { published: fromManifest(new HttpFolder(base)) })
    await source.fetch(['w.bin'])
    expect(await source.read('w.bin')).toEqual(CONTENT)

    server.fault = undefined
    server.files.set('w.bin', CONTENT.toReversed())
    server.etag = '"2"'
    const wrong = openSource(store, { published: fromManifest(new HttpFolder(base)) })
    await expect(wrong.fetch(['w.bin'])).rejects.toEqual(failsWith('corrupt'))
  })

  it('downloads once for two that ask at the same time', async () => {
    const [a, b] = [openSource(store), openSource(store)]
    await Promise.all([a.fetch(['w.bin']), b.fetch(['w.bin'])])
    expect(await b.read('w.bin')).toEqual(CONTENT)
    expect(sorted(server.starts('w.bin'))).toEqual(STARTS)
  })

  it('tells where there is no room what could be deleted, keeps the rest, and goes on afterwards', async () => {
    const other = new StoredSource({ folder: new HttpFolder(`${base}../tiny/other/`), store, chunkBytes: CHUNK })
    server.files.set('other/w.bin', CONTENT)
    await other.fetch(['w.bin'])
    let room = 4
    const full = new Proxy(store, {
      get: (target, key: keyof ChunkStore) =>
        key === 'put' && room-- <= 0
          ? () => Promise.reject(new SkipstoneError('quota', 'full'))
          : target[key].bind(target),
    })
    const failure = await openSource(full)
      .fetch(['w.bin'])
      .catch((error: unknown) => error as SkipstoneError)
    expect(failure).toEqual(failsWith('quota'))
    expect((failure as SkipstoneError).message).toContain('tiny/other/ (0.0 MB)')
    expect(await verifyModel(store, other.description)).toEqual({ chunks: 10, damaged: [] })
    server.asked = []
    const source = openSource(store)
    await source.fetch(['w.bin'])
    expect(server.starts('w.bin')).toHaveLength(6)
    expect(await source.read('w.bin')).toEqual(CONTENT)
  })

  it('lists, measures, verifies and deletes models', async () => {
    const source = openSource(store)
    expect(await source.has('absent.bin')).toBe(false)
    await source.read('w.bin', { start: 0, end: 250 })
    expect(await listModels(store)).toEqual([
      { url: base, bytes: 300, size: 950, files: [{ name: 'w.bin', bytes: 300, size: 950, complete: false }] },
    ])
    await source.fetch(['w.bin'])
    expect(await modelSize(store, base)).toBe(950)
    const [ledger] = (await store.ledgers()).filter(({ name }) => name === 'w.bin')
    await store.put(ledger!, 2, new Blob([new Uint8Array(CHUNK)]), marksIn(ledger!, 2))
    expect(await verifyModel(store, base)).toEqual({ chunks: 10, damaged: [{ name: 'w.bin', chunk: 2 }] })
    expect(await modelSize(store, base)).toBe(850)
    await deleteModel(store, base)
    expect(await store.ledgers()).toEqual([])
    expect(await modelSize(store, base)).toBe(0)
  })

  it('does not mix two files that follow each other under one address', async () => {
    await openSource(store).fetch(['w.bin'])
    const [old] = await store.ledgers()
    await store.begin({ ...old!, validator: 'other', chunks: old!.chunks.map(() => null) })
    expect(await store.put(old!, 0, new Blob([CONTENT.slice(0, CHUNK)]), { sha256: 'x', sum: 'x' })).toBeUndefined()
    expect(await store.get(old!.url, 0)).toBeUndefined()
  })
})

it('sends the token with every request', async () => {
  const source = openSource(new MemoryStore(), { folder: new HttpFolder(base, { token: 'abc' }) })
  await source.read('w.bin')
  expect(server.asked.every(({ headers }) => headers.authorization === 'Bearer abc')).toBe(true)
})

it('refuses a store of a newer version, and does without one where there is no database', async () => {
  const name = `test ${databases++}`
  await openIndexedDb(name)
  const { createStore, set } = await import('idb-keyval')
  await set('version', 99, createStore(name, 'chunks'))
  await expect(openIndexedDb(name)).rejects.toEqual(failsWith('unsupported'))
  vi.stubGlobal('indexedDB', undefined)
  expect(await openIndexedDb(name)).toBeUndefined()
  vi.unstubAllGlobals()
})
