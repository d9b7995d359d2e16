import { SkipstoneError } from '../errors.js'
import type { ChunkStore } from './chunk-store.js'
import { type Ledger, storedBytes } from './ledger.js'

/**
 * Refuses a download that the browser says it has no room for, before it begins.
 * @throws `quota`.
 */
export async function makeRoom(store: ChunkStore, ledger: Ledger): Promise<void> {
  const estimate = await globalThis.navigator?.storage?.estimate?.().catch(() => undefined)
  const missing = ledger.size - storedBytes(ledger)
  if (estimate?.quota === undefined || !Number.isFinite(missing)) return
  const free = estimate.quota - (estimate.usage ?? 0)
  if (missing > free) throw await noRoom(store, ledger.model, missing - free)
}

/** Runs `work`; where it runs out of room, the error names what could be deleted. */
export async function withAdvice<T>(store: ChunkStore, model: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof SkipstoneError && error.code === 'quota') throw await noRoom(store, model, undefined, error)
    throw error
  }
}

async function noRoom(
  store: ChunkStore,
  model: string,
  lacking: number | undefined,
  cause?: unknown,
): Promise<SkipstoneError> {
  const others = new Map<string, number>()
  for (const ledger of await store.ledgers().catch(() => [])) {
    if (ledger.model === model) continue
    others.set(ledger.model, (others.get(ledger.model) ?? 0) + storedBytes(ledger))
  }
  const list = Array.from(others, ([name, bytes]) => `${name} (${megabytes(bytes)})`)
  const advice =
    list.length > 0
      ? `Delete one of these with deleteModel(), then load again, which goes on where it stopped: ${list.join(', ')}.`
      : 'Nothing else of this site is stored: free disk space, or take a smaller model.'
  const what = lacking === undefined ? '' : ` ${megabytes(lacking)} are missing.`
  return new SkipstoneError('quota', `The browser gives this site no more room for ${model}.${what} ${advice}`, {
    cause,
  })
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`
}
