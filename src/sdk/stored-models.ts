import type { StoredModel, Verification } from '../storage/library.js'

// The models that this site keeps in the browser, as `loadModel` stored them. A model is named by the address of its folder,
// as `listModels` gives it. All may fail with `storage`, and with `unsupported` where a newer version wrote the database.

/** The database and what is done with it, when one of these is first called. */
async function open() {
  const [{ defaultStore }, library] = await Promise.all([
    import('../storage/default-store.js'),
    import('../storage/library.js'),
  ])
  const { store } = await defaultStore()
  return { library, store }
}

/** Every model of which something is stored, with its files. */
export async function listModels(): Promise<StoredModel[]> {
  const { library, store } = await open()
  return library.listModels(store)
}

/** Bytes that are stored of a model; 0 where there are none. */
export async function modelSize(url: string): Promise<number> {
  const { library, store } = await open()
  return library.modelSize(store, url)
}

/**
 * Compares everything that is stored of a model with the hashes that were noted when it came. What differs is taken out and
 * fetched again with the next load. `onProgress` gets bytes done and to do. @throws `aborted`.
 */
export async function verifyModel(
  url: string,
  options?: { signal?: AbortSignal; onProgress?: (loaded: number, total: number) => void },
): Promise<Verification> {
  const { library, store } = await open()
  return library.verifyModel(store, url, options)
}

/** Deletes what is stored of a model. */
export async function deleteModel(url: string): Promise<void> {
  const { library, store } = await open()
  return library.deleteModel(store, url)
}

/**
 * Asks the browser not to clear this site's models when it needs room. Call it where the user did something: some browsers ask
 * the user, and none is waited for by a load. False where the browser declines or cannot.
 */
export async function keepModels(): Promise<boolean> {
  return (await globalThis.navigator?.storage?.persist?.().catch(() => false)) ?? false
}
