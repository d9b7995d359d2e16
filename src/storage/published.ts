import { carries, discard, type HttpFolder } from './http-folder.js'

/** What a folder's publisher says of its files. Where nothing is said or can be read, all is undefined. */
export interface Published {
  /** SHA-256 of the whole file, in hexadecimal. */
  hash(name: string, signal: AbortSignal | undefined): Promise<string | undefined>
  /** Whether there is such a file, where the publisher names them all. */
  lists(name: string, signal: AbortSignal | undefined): Promise<boolean | undefined>
}

/** A Git LFS pointer is three short lines. */
const POINTER_BYTES = 1024

interface Manifest {
  /** SHA-256 by file. */
  readonly hashes: ReadonlyMap<string, string>
  /** Whether the folder has no other files. */
  readonly complete: boolean
}

const NO_MANIFEST: Manifest = { hashes: new Map(), complete: false }

/**
 * A `manifest.json` in the folder: `{ files: [{ path, sha256 }], complete: true }`. Only where it calls itself complete does a file that
 * it does not name not exist. Asked for once.
 */
export function fromManifest(folder: HttpFolder): Published {
  let manifest: Promise<Manifest> | undefined
  const read = (signal: AbortSignal | undefined) => {
    manifest ??= readManifest(folder, signal).catch(() => NO_MANIFEST)
    return manifest
  }
  return {
    hash: async (name, signal) => (await read(signal)).hashes.get(name),
    lists: async (name, signal) => {
      const { hashes, complete } = await read(signal)
      return hashes.has(name) || (complete ? false : undefined)
    },
  }
}

async function readManifest(folder: HttpFolder, signal: AbortSignal | undefined): Promise<Manifest> {
  const response = await folder.request('manifest.json', undefined, signal)
  if (!carries('manifest.json', response)) {
    await discard(response)
    return NO_MANIFEST
  }
  const manifest: unknown = await response.json()
  if (!isRecord(manifest) || !Array.isArray(manifest.files)) return NO_MANIFEST
  const hashes = new Map<string, string>(
    manifest.files.flatMap((file: unknown) =>
      isRecord(file) && typeof file.path === 'string' && isHash(file.sha256) ? [[file.path, file.sha256]] : [],
    ),
  )
  return { hashes, complete: manifest.complete === true }
}

/** Hashes from the Git LFS pointers of a hub: `pointers` is the folder that gives files as Git holds them. */
export function fromPointers(pointers: HttpFolder): Published {
  return {
    // No hash is no reason not to load.
    hash: (name, signal) => readPointer(pointers, name, signal).catch(() => undefined),
    lists: async () => undefined,
  }
}

async function readPointer(
  pointers: HttpFolder,
  name: string,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const response = await pointers.request(name, { start: 0, end: POINTER_BYTES }, signal)
  const length = Number(response.headers.get('content-length') ?? 0)
  if (!carries(name, response) || length > POINTER_BYTES) {
    await discard(response)
    return undefined
  }
  return /^oid sha256:([0-9a-f]{64})$/m.exec(await response.text())?.[1]
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function isHash(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)
}
