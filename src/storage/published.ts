import { carries, discard, type HttpFolder } from './http-folder.js'

/** SHA-256 of whole files as their publisher gives them, in hexadecimal, by name. */
export type PublishedHashes = (name: string, signal: AbortSignal | undefined) => Promise<string | undefined>

/** A Git LFS pointer is three short lines. */
const POINTER_BYTES = 1024

/** Hashes from a `manifest.json` in the folder: `{ files: [{ path, sha256 }] }`. Asked for once; none where there is none. */
export function fromManifest(folder: HttpFolder): PublishedHashes {
  let hashes: Promise<Map<string, string>> | undefined
  return async (name, signal) => {
    hashes ??= readManifest(folder, signal).catch(() => new Map())
    return (await hashes).get(name)
  }
}

async function readManifest(folder: HttpFolder, signal: AbortSignal | undefined): Promise<Map<string, string>> {
  const response = await folder.request('manifest.json', undefined, signal)
  if (!carries('manifest.json', response)) {
    await discard(response)
    return new Map()
  }
  const manifest: unknown = await response.json()
  const files = isRecord(manifest) && Array.isArray(manifest.files) ? manifest.files : []
  return new Map(
    files.flatMap((file: unknown) =>
      isRecord(file) && typeof file.path === 'string' && isHash(file.sha256) ? [[file.path, file.sha256]] : [],
    ),
  )
}

/** Hashes from the Git LFS pointers of a hub: `pointers` is the folder that gives files as Git holds them. */
export function fromPointers(pointers: HttpFolder): PublishedHashes {
  return async (name, signal) => {
    try {
      const response = await pointers.request(name, { start: 0, end: POINTER_BYTES }, signal)
      const length = Number(response.headers.get('content-length') ?? 0)
      if (!carries(name, response) || length > POINTER_BYTES) {
        await discard(response)
        return undefined
      }
      return /^oid sha256:([0-9a-f]{64})$/m.exec(await response.text())?.[1]
    } catch {
      // No hash is no reason not to load.
      return undefined
    }
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function isHash(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)
}
