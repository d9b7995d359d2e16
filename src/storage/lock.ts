import { SkipstoneError } from '../errors.js'

const waiting = new Map<string, Promise<unknown>>()

/**
 * Runs `work` while nobody else runs something under this name: no other tab of this site (Web Locks), or, where there are no
 * Web Locks, nothing else in this process. A tab that is killed lets go. @throws `aborted` while waiting.
 */
export async function exclusively<T>(
  name: string,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  const locks = globalThis.navigator?.locks
  if (!locks) return inProcess(name, work)
  let entered = false
  try {
    return await locks.request(`skipstone ${name}`, signal ? { signal } : {}, () => {
      entered = true
      return work()
    })
  } catch (cause) {
    if (entered || !signal?.aborted) throw cause
    throw new SkipstoneError('aborted', 'The caller aborted this call.', { cause })
  }
}

async function inProcess<T>(name: string, work: () => Promise<T>): Promise<T> {
  const before = waiting.get(name)
  const mine = (async () => {
    await before?.catch(() => undefined)
    return work()
  })()
  waiting.set(name, mine)
  try {
    return await mine
  } finally {
    if (waiting.get(name) === mine) waiting.delete(name)
  }
}
