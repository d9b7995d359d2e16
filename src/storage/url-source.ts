import { SkipstoneError, throwIfAborted } from '../errors.js'
import { type ByteRange, type FileSource, notFound, resolveRange, tooShort } from './source.js'

/**
 * The files below a base URL, read with ranged requests. A relative base is resolved against the page. A query in the base
 * (a signature, say) is sent with every file. A server without ranges costs the whole file once, which is then kept.
 * `bad-option` where the base is not a URL.
 */
export class UrlSource implements FileSource {
  readonly description: string
  readonly #base: URL
  /** Files whose server ignores ranges, whole: asking again would download all of it again. */
  readonly #whole = new Map<string, Uint8Array>()

  constructor(base: string) {
    this.#base = parseBase(base)
    this.description = `${this.#base.origin}${this.#base.pathname}`
  }

  async has(name: string, signal?: AbortSignal): Promise<boolean> {
    if (this.#whole.has(name)) return true
    const response = await this.#request(name, { start: 0, end: 1 }, signal)
    await discard(response)
    return isThere(name, response)
  }

  async size(name: string, signal?: AbortSignal): Promise<number> {
    const whole = this.#whole.get(name)
    if (whole) return whole.byteLength
    const response = await this.#open(name, { start: 0, end: 1 }, signal)
    if (response.status === 200) return (await this.#keepWhole(name, response, signal)).byteLength
    await discard(response)
    // "bytes 0-0/1234", and for an empty file "bytes */0" with status 416.
    const total = /\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1]
    return total === undefined ? this.#sizeFromHead(name, signal) : Number(total)
  }

  async read(name: string, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array> {
    throwIfAborted(signal)
    const kept = this.#whole.get(name)
    if (kept) return this.#slice(name, kept, range)
    // HTTP cannot ask for zero bytes.
    if (range && range.start === range.end) return new Uint8Array()

    const response = await this.#open(name, range, signal)
    if (!range) return this.#body(name, response, signal)
    if (response.status === 200) return this.#slice(name, await this.#keepWhole(name, response, signal), range)
    const bytes = response.status === 416 ? new Uint8Array() : await this.#body(name, response, signal)
    if (bytes.byteLength !== range.end - range.start) throw tooShort(this, name, range)
    return bytes
  }

  /** A response that carries the file: 200, or 206 or 416 to a ranged request. */
  async #open(name: string, range: ByteRange | undefined, signal: AbortSignal | undefined): Promise<Response> {
    const response = await this.#request(name, range, signal)
    if (isThere(name, response)) return response
    await discard(response)
    throw notFound(this, name)
  }

  /** Any response that says something about the file, be it that there is none; `network` for all others. */
  async #request(
    name: string,
    range: ByteRange | undefined,
    signal: AbortSignal | undefined,
    method = 'GET',
  ): Promise<Response> {
    throwIfAborted(signal)
    const headers: HeadersInit = range ? { range: `bytes=${range.start}-${range.end - 1}` } : {}
    let response: Response
    try {
      response = await fetch(this.#url(name), { method, headers, signal: signal ?? null })
    } catch (cause) {
      throw this.#failure(name, signal, cause)
    }
    const { status } = response
    if (response.ok || status === 404 || status === 410 || (range && status === 416)) return response
    await discard(response)
    throw new SkipstoneError(
      'network',
      `${this.description} answered ${status} for ${name}; check the address, and whether the model needs a sign-in.`,
    )
  }

  /** For servers that answer ranges but hide Content-Range from other origins. */
  async #sizeFromHead(name: string, signal: AbortSignal | undefined): Promise<number> {
    const response = await this.#request(name, undefined, signal, 'HEAD')
    const length = response.headers.get('content-length')
    if (response.ok && length !== null) return Number(length)
    throw new SkipstoneError(
      'network',
      `${this.description} does not tell the size of ${name}; let the server expose Content-Range (Access-Control-Expose-Headers).`,
    )
  }

  async #keepWhole(name: string, response: Response, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const bytes = await this.#body(name, response, signal)
    this.#whole.set(name, bytes)
    return bytes
  }

  async #body(name: string, response: Response, signal: AbortSignal | undefined): Promise<Uint8Array> {
    try {
      return new Uint8Array(await response.arrayBuffer())
    } catch (cause) {
      throw this.#failure(name, signal, cause)
    }
  }

  #slice(name: string, whole: Uint8Array, range: ByteRange | undefined): Uint8Array {
    const { start, end } = resolveRange(this, name, whole.byteLength, range)
    return whole.slice(start, end)
  }

  #failure(name: string, signal: AbortSignal | undefined, cause: unknown): SkipstoneError {
    if (signal?.aborted)
      return new SkipstoneError('aborted', `The caller aborted reading ${name}.`, { cause: signal.reason })
    return new SkipstoneError(
      'network',
      `The request for ${name} from ${this.description} failed; check the connection and that the server allows this origin.`,
      { cause },
    )
  }

  #url(name: string): URL {
    const url = new URL(name.split('/').map(encodeURIComponent).join('/'), this.#base)
    url.search = this.#base.search
    return url
  }
}

function parseBase(base: string): URL {
  const here = globalThis.location?.href
  if (!URL.canParse(base, here)) {
    throw new SkipstoneError('bad-option', `"${base}" is not a URL; give the address of the model's folder.`)
  }
  const url = new URL(base, here)
  url.hash = ''
  if (!url.pathname.endsWith('/')) url.pathname += '/'
  return url
}

/** Whether `response` carries the file. Single-page apps answer a missing file with their index page and status 200. */
function isThere(name: string, response: Response): boolean {
  if (response.status === 404 || response.status === 410) return false
  const isPage = response.headers.get('content-type')?.startsWith('text/html') ?? false
  return !isPage || /\.html?$/.test(name)
}

/** Lets go of a body that nobody reads, so that its connection is free again. A body that broke off already is gone too. */
async function discard(response: Response): Promise<void> {
  await response.body?.cancel().catch(() => undefined)
}
