import { throwIfAborted } from '../errors.js'
import { carries, discard, HttpFolder, type HttpOptions, totalSize } from './http-folder.js'
import { type ByteRange, type FileSource, notFound, resolveRange, tooShort } from './source.js'

/**
 * The files below a base URL, read with ranged requests and not stored. A server without ranges costs the whole file once,
 * which is then kept in memory. `bad-option` where the base is not a URL.
 */
export class UrlSource implements FileSource {
  readonly description: string
  readonly #folder: HttpFolder
  /** Files whose server ignores ranges, whole: asking again would download all of it again. */
  readonly #whole = new Map<string, Uint8Array>()

  constructor(base: string, options: HttpOptions = {}) {
    this.#folder = new HttpFolder(base, options)
    this.description = this.#folder.address
  }

  async has(name: string, signal?: AbortSignal): Promise<boolean> {
    if (this.#whole.has(name)) return true
    const response = await this.#folder.request(name, { start: 0, end: 1 }, signal)
    await discard(response)
    return carries(name, response)
  }

  async size(name: string, signal?: AbortSignal): Promise<number> {
    const whole = this.#whole.get(name)
    if (whole) return whole.byteLength
    const response = await this.#open(name, { start: 0, end: 1 }, signal)
    if (response.status === 200) return (await this.#keepWhole(name, response, signal)).byteLength
    await discard(response)
    return totalSize(response) ?? this.#folder.sizeFromHead(name, signal)
  }

  async read(name: string, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array> {
    throwIfAborted(signal)
    const kept = this.#whole.get(name)
    if (kept) return this.#slice(name, kept, range)
    // HTTP cannot ask for zero bytes.
    if (range && range.start === range.end) return new Uint8Array()

    const response = await this.#open(name, range, signal)
    if (!range) return this.#folder.body(name, response, signal)
    if (response.status === 200) return this.#slice(name, await this.#keepWhole(name, response, signal), range)
    const bytes = response.status === 416 ? new Uint8Array() : await this.#folder.body(name, response, signal)
    if (bytes.byteLength !== range.end - range.start) throw tooShort(this, name, range)
    return bytes
  }

  /** A response that carries the file: 200, or 206 or 416 to a ranged request. */
  async #open(name: string, range: ByteRange | undefined, signal: AbortSignal | undefined): Promise<Response> {
    const response = await this.#folder.request(name, range, signal)
    if (carries(name, response)) return response
    await discard(response)
    throw notFound(this, name)
  }

  async #keepWhole(name: string, response: Response, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const bytes = await this.#folder.body(name, response, signal)
    this.#whole.set(name, bytes)
    return bytes
  }

  #slice(name: string, whole: Uint8Array, range: ByteRange | undefined): Uint8Array {
    const { start, end } = resolveRange(this, name, whole.byteLength, range)
    return whole.slice(start, end)
  }
}
