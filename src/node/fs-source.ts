import { type FileHandle, open, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { throwIfAborted } from '../errors.js'
import { type ByteRange, type FileSource, notFound, resolveRange, tooShort } from '../storage/source.js'

/** A large read is split into pieces of this many bytes: an abort is noticed between them, and one call may not exceed 2 GiB. */
const PIECE_BYTES = 64 * 1024 * 1024

/** The files of a directory on disk; `directory` is resolved against the working directory. */
export class DirectorySource implements FileSource {
  readonly description: string

  constructor(directory: string) {
    this.description = resolve(directory)
  }

  async has(name: string, signal?: AbortSignal): Promise<boolean> {
    throwIfAborted(signal)
    const found = await stat(this.#path(name)).catch(() => undefined)
    return found?.isFile() ?? false
  }

  async size(name: string, signal?: AbortSignal): Promise<number> {
    throwIfAborted(signal)
    return this.#withFile(name, async (_file, size) => size)
  }

  async read(name: string, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array> {
    throwIfAborted(signal)
    return this.#withFile(name, async (file, size) => {
      const { start, end } = resolveRange(this, name, size, range)
      const bytes = new Uint8Array(end - start)
      for (let done = 0; done < bytes.length; ) {
        throwIfAborted(signal)
        const length = Math.min(PIECE_BYTES, bytes.length - done)
        const { bytesRead } = await file.read(bytes, done, length, start + done)
        if (bytesRead === 0) throw tooShort(this, name, { start, end }) // truncated since it was measured
        done += bytesRead
      }
      return bytes
    })
  }

  #path(name: string): string {
    return join(this.description, name)
  }

  /** Runs `use` with the open file and its size in bytes. `not-found` where it cannot be opened or is not a file. */
  async #withFile<T>(name: string, use: (file: FileHandle, size: number) => Promise<T>): Promise<T> {
    const file = await open(this.#path(name)).catch((cause: unknown) => {
      throw notFound(this, name, cause)
    })
    try {
      const found = await file.stat()
      if (!found.isFile()) throw notFound(this, name)
      return await use(file, found.size)
    } finally {
      await file.close()
    }
  }
}
