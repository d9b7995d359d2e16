import { createStore, get, set } from 'idb-keyval'

/** What was found out about this site's devices and is not to be found out again; nothing is kept where IndexedDB refuses. */
export const formMemory = {
  async get(key: string): Promise<string | undefined> {
    const value: unknown = await attempt(() => get(key, store()))
    return typeof value === 'string' ? value : undefined
  },
  async set(key: string, value: string): Promise<void> {
    await attempt(() => set(key, value, store()))
  },
}

let opened: ReturnType<typeof createStore> | undefined

function store(): ReturnType<typeof createStore> {
  opened ??= createStore('skipstone-devices', 'forms')
  return opened
}

async function attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch {
    return undefined
  }
}
