import { SkipstoneError, throwIfAborted } from '../errors.js'
import type { ByteRange } from './source.js'

export interface HttpOptions {
  /** Sent as `Authorization: Bearer`; to the folder's own server only. */
  readonly token?: string | undefined
}

/** The files below a base URL as a server gives them: one request at a time, answers typed, nothing kept. */
export class HttpFolder {
  /** The folder without query: what people and ledgers know it by. */
  readonly address: string
  readonly #base: URL
  /** Not so are the files of a browser extension: parts of them look like whole files, and one that is not there like a lost network. */
  readonly #served: boolean

  /** A relative base is resolved against the page; its query (a signature, say) is sent with every file. `bad-option` where it is no URL. */
  constructor(
    base: string,
    private readonly options: HttpOptions = {},
  ) {
    this.#base = parseBase(base)
    this.#served = /^https?:$/.test(this.#base.protocol)
    this.address = `${this.#base.origin}${this.#base.pathname}`
  }

  url(name: string): URL {
    const url = new URL(name.split('/').map(encodeURIComponent).join('/'), this.#base)
    url.search = this.#base.search
    return url
  }

  /**
   * Any answer that says something about the file, be it that there is none (404, 410) or that the range lies beyond it (416).
   * @throws `network` for every other answer and where none came, `aborted`.
   */
  async request(
    name: string,
    range: ByteRange | undefined,
    signal: AbortSignal | undefined,
    method: 'GET' | 'HEAD' = 'GET',
  ): Promise<Response> {
    throwIfAborted(signal)
    const headers: Record<string, string> = {}
    if (range && this.#served) headers.range = `bytes=${range.start}-${range.end - 1}`
    if (this.options.token) headers.authorization = `Bearer ${this.options.token}`
    // Browsers let requests for parts of one file wait for each other at their cache, and would keep a second copy there.
    const cache = range ? 'no-store' : 'default'
    let response: Response
    try {
      response = await fetch(this.url(name), { method, headers, cache, signal: signal ?? null })
    } catch (cause) {
      if (!this.#served && !signal?.aborted) return new Response(null, { status: 404 })
      throw await this.#unanswered(name, signal, cause)
    }
    const { status } = response
    if (response.ok || status === 404 || status === 410 || (range && status === 416)) return response
    await discard(response)
    throw new HttpError(status, retryAfter(response), this.#refusal(name, status))
  }

  /** The bytes of an answer. @throws `network` where it breaks off, `aborted`. */
  async body(name: string, response: Response, signal: AbortSignal | undefined): Promise<Uint8Array<ArrayBuffer>> {
    try {
      return new Uint8Array(await response.arrayBuffer())
    } catch (cause) {
      throw this.broken(name, signal, cause)
    }
  }

  /** The size of a file on a server that answers ranges but hides Content-Range from other origins. @throws `network`. */
  async sizeFromHead(name: string, signal: AbortSignal | undefined): Promise<number> {
    const response = await this.request(name, undefined, signal, 'HEAD')
    const length = response.headers.get('content-length')
    if (response.ok && length !== null) return Number(length)
    throw new SkipstoneError(
      'network',
      `${this.address} does not tell the size of ${name}; let the server expose Content-Range (Access-Control-Expose-Headers).`,
    )
  }

  /** What to throw where an answer breaks off. */
  broken(name: string, signal: AbortSignal | undefined, cause: unknown): SkipstoneError {
    if (signal?.aborted) {
      return new SkipstoneError('aborted', `The caller aborted reading ${name}.`, { cause: signal.reason })
    }
    return new SkipstoneError(
      'network',
      `The request for ${name} from ${this.address} failed; check the connection and that the server allows this origin.`,
      { cause },
    )
  }

  async #unanswered(name: string, signal: AbortSignal | undefined, cause: unknown): Promise<SkipstoneError> {
    const failure = this.broken(name, signal, cause)
    const here = globalThis.location?.origin
    if (failure.code !== 'network' || here === undefined || here === this.#base.origin) return failure
    // Browsers do not tell a forbidden answer from none; a request whose answer nobody may read does.
    const reachable = await fetch(this.url(name), { method: 'HEAD', mode: 'no-cors', signal: signal ?? null }).then(
      () => true,
      () => false,
    )
    return new SkipstoneError(
      'network',
      reachable
        ? `${this.#base.origin} answers, but does not let pages of ${here} read ${name}; its server must send Access-Control-Allow-Origin (CORS).`
        : `${this.#base.origin} cannot be reached for ${name}; check the address and the connection.`,
      { cause },
    )
  }

  #refusal(name: string, status: number): string {
    const what = `${this.address} answered ${status} for ${name}`
    if (status === 401 || status === 403) {
      return this.options.token
        ? `${what}: the token does not open it; check that it is valid and that its account may read the model.`
        : `${what}: the model needs a sign-in; give a token that may read it.`
    }
    if (status === 429)
      return `${what}: too many requests; wait a little and load again, which goes on where it stopped.`
    return `${what}; check the address, and whether the model needs a sign-in.`
  }
}

/** An answer that is no file. */
export class HttpError extends SkipstoneError {
  constructor(
    readonly status: number,
    /** Milliseconds that the server asked to wait. */
    readonly retryAfterMs: number | undefined,
    message: string,
  ) {
    super('network', message)
  }

  /** Whether the same request may succeed later. */
  get passing(): boolean {
    return this.status >= 500 || this.status === 429 || this.status === 408
  }
}

/** Whether `response` carries the file. Single-page apps answer a missing file with their index page and status 200. */
export function carries(name: string, response: Response): boolean {
  if (response.status === 404 || response.status === 410) return false
  const isPage = response.headers.get('content-type')?.startsWith('text/html') ?? false
  return !isPage || /\.html?$/.test(name)
}

/** Lets go of a body that nobody reads, so that its connection is free again. A body that broke off already is gone too. */
export async function discard(response: Response): Promise<void> {
  await response.body?.cancel().catch(() => undefined)
}

/** The whole file's size as a ranged answer tells it: "bytes 0-0/1234", or "bytes *\/0" with status 416. */
export function totalSize(response: Response): number | undefined {
  const total = /\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1]
  return total === undefined ? undefined : Number(total)
}

function retryAfter(response: Response): number | undefined {
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN)
  return Number.isFinite(seconds) ? seconds * 1000 : undefined
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
