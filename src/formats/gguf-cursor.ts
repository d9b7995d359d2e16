import { SkipstoneError } from '../errors.js'

/** Thrown by a cursor at the end of its bytes where the file goes on: the file may be fine, more of it is needed. */
export class MoreBytesNeeded extends Error {}

/** Real headers, with vocabularies of 256,000 tokens, stay below 20 MB; it keeps a damaged length from asking for gigabytes. */
const MAX_HEADER_BYTES = 100_000_000

export function badGguf(message: string, cause?: unknown): SkipstoneError {
  return new SkipstoneError('bad-file', `${message} The GGUF file is damaged or cut off; fetch it again.`, { cause })
}

/**
 * Reads little-endian values from the start of a file of `fileSize` bytes, of which `bytes` are the first. Every length is held
 * against the rest of the file before anything is made of it: `bad-file` where it cannot be, `MoreBytesNeeded` where the file
 * has the bytes and the prefix does not.
 */
export class GgufCursor {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #fileSize: number
  // U+FEFF is a token of some vocabularies, so it is not taken for a byte-order mark.
  readonly #utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  #position = 0

  constructor(bytes: Uint8Array, fileSize: number) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#fileSize = fileSize
  }

  /** Bytes from the start of the file. */
  get position(): number {
    return this.#position
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1))
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true)
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#take(8), true)
  }

  /** `length` bytes, a view of the file. */
  bytes(length: number): Uint8Array {
    const start = this.#take(length)
    return this.#bytes.subarray(start, start + length)
  }

  /** A u64 that counts what follows, each of at least `minBytes` bytes. `bad-file` where the file has no room for them. */
  count(minBytes: number, what: string): number {
    const count = this.u64()
    const left = this.#fileSize - this.#position
    if (count > BigInt(Math.floor(left / minBytes))) {
      throw badGguf(`${what} is given as ${count}, but only ${left} bytes follow.`)
    }
    return Number(count)
  }

  string(what: string): string {
    const bytes = this.bytes(this.count(1, `The length of ${what}`))
    try {
      return this.#utf8.decode(bytes)
    } catch (cause) {
      throw badGguf(`The text of ${what} is not UTF-8.`, cause)
    }
  }

  /** Moves over `length` bytes and returns where they start. */
  #take(length: number): number {
    const start = this.#position
    const end = start + length
    if (end > this.#fileSize) throw badGguf(`The header runs past the end of the file, ${this.#fileSize} bytes.`)
    if (end > MAX_HEADER_BYTES) throw badGguf(`The header runs past ${MAX_HEADER_BYTES} bytes.`)
    if (end > this.#bytes.byteLength) throw new MoreBytesNeeded()
    this.#position = end
    return start
  }
}
