import { ERROR_CODES, type ErrorCode, SkipstoneError } from '../errors.js'
import { type AdapterName, findDriverManifest } from './adapters.js'
import { launchChromium } from './chromium-page.js'
import { launchFirefox } from './firefox-page.js'
import type { ConsoleListener, LaunchOptions, RawPage } from './raw-page.js'

export type BrowserBackend = 'chromium' | 'firefox'

/** A page in a browser without a window. It and its browser are gone after `close`. */
export interface BrowserPage {
  /** What was asked for; where that was `auto` and the browser found nothing, the software adapter that stands in. */
  readonly adapter: AdapterName
  /**
   * Calls `window.skipstoneHost[functionName](argument)` in the page and waits for its result, however long it takes.
   * Argument and result travel as JSON. What the page throws is thrown here as a `SkipstoneError`, with the page's code
   * where it had one; a page or browser that dies in the meantime is `device-lost`, and `disposed` after `close`.
   */
  evaluate<T>(functionName: string, argument?: unknown): Promise<T>
  close(): Promise<void>
}

export interface OpenPageOptions {
  readonly adapter: AdapterName
  /** Receives what the page prints, and its uncaught errors. */
  readonly onConsole?: ConsoleListener
}

/** Opens a page that sets `window.skipstoneHost`, in a browser of its own with a WebGPU adapter. */
export async function openPage(backend: BrowserBackend, url: string, options: OpenPageOptions): Promise<BrowserPage> {
  const launch = backend === 'chromium' ? launchChromium : launchFirefox
  for (const adapter of adaptersToTry(backend, options.adapter)) {
    const page = await openIfUsable(launch, url, adapter, options.onConsole ?? (() => {}))
    if (page !== undefined) return page
  }
  throw new SkipstoneError(
    'no-adapter',
    `The ${backend} that was found has no usable WebGPU adapter: install a newer one, or choose another --adapter.`,
  )
}

/** The adapter asked for; for `auto` also the software adapter that this browser can use. */
function adaptersToTry(backend: BrowserBackend, adapter: AdapterName): AdapterName[] {
  if (backend === 'chromium' && adapter === 'lavapipe') {
    throw new SkipstoneError('bad-option', 'Chromium cannot use lavapipe: choose --adapter swiftshader or auto.')
  }
  if (backend === 'firefox' && adapter === 'swiftshader') {
    throw new SkipstoneError('bad-option', 'Firefox cannot use SwiftShader: choose --adapter lavapipe or auto.')
  }
  if (adapter !== 'auto') return [adapter]
  if (backend === 'chromium') return ['auto', 'swiftshader']
  return findDriverManifest('lavapipe') === undefined ? ['auto'] : ['auto', 'lavapipe']
}

async function openIfUsable(
  launch: (options: LaunchOptions) => Promise<RawPage>,
  url: string,
  adapter: AdapterName,
  onConsole: ConsoleListener,
): Promise<BrowserPage | undefined> {
  const raw = await launch({ adapter, onConsole }).catch((cause: unknown) => {
    if (cause instanceof SkipstoneError) throw cause
    throw new SkipstoneError('not-found', `The browser that was found could not be started: ${cause}`, { cause })
  })
  const page = new HostedPage(raw, adapter)
  try {
    await raw.goto(url).catch((cause: unknown) => {
      throw new SkipstoneError('network', `The browser could not open ${url}: ${cause}`, { cause })
    })
    if (await page.call((argument) => raw.evaluate(hasAdapter, argument), undefined)) {
      if (await page.call((argument) => raw.evaluate(hostIsReady, argument), HOST_TIMEOUT_MS)) return page
      throw new SkipstoneError('internal', `The page ${url} did not set window.skipstoneHost; its console says why.`)
    }
  } catch (error) {
    await page.close()
    throw error
  }
  await page.close()
  return undefined
}

/** Long enough for a page's modules on a slow machine; a page whose script failed is noticed after it. */
const HOST_TIMEOUT_MS = 30_000

class HostedPage implements BrowserPage {
  readonly #raw: RawPage
  readonly adapter: AdapterName
  #closing: Promise<void> | undefined

  constructor(raw: RawPage, adapter: AdapterName) {
    this.#raw = raw
    this.adapter = adapter
  }

  async evaluate<T>(functionName: string, argument?: unknown): Promise<T> {
    const json = await this.call((request) => this.#raw.evaluate(callHost, request), {
      functionName,
      argument: JSON.stringify(argument),
    })
    if (json === undefined) throw this.#goneError()
    const answer = JSON.parse(json) as HostAnswer<T>
    if ('error' in answer) throw toSkipstoneError(answer.error)
    return answer.value
  }

  /** Runs one step in the browser; when the page dies, it fails at once instead of waiting for an answer for ever. */
  async call<A, T>(step: (argument: A) => Promise<T>, argument: A): Promise<T> {
    if (this.#closing !== undefined) throw this.#goneError()
    const gone = this.#raw.gone.then(() => {
      throw this.#goneError()
    })
    try {
      return await Promise.race([step(argument), gone])
    } catch (cause) {
      throw cause instanceof SkipstoneError ? cause : this.#goneError(cause)
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#raw.close()
    return this.#closing
  }

  #goneError(cause?: unknown): SkipstoneError {
    if (this.#closing !== undefined) return new SkipstoneError('disposed', 'This page was closed; open another.')
    const message = 'The browser page crashed or went away, perhaps for lack of memory: open it again.'
    return new SkipstoneError('device-lost', message, { cause })
  }
}

interface HostError {
  readonly code?: string
  readonly message: string
  readonly stack?: string
}

type HostAnswer<T> = { readonly value: T } | { readonly error: HostError }

function toSkipstoneError({ code, message, stack }: HostError): SkipstoneError {
  const known = ERROR_CODES.find((one): one is ErrorCode => one === code)
  return new SkipstoneError(known ?? 'internal', message, { cause: stack })
}

// The functions below run in the page: they are sent there as text and can use nothing from this module.

async function hasAdapter(): Promise<boolean> {
  return ((await navigator.gpu?.requestAdapter()) ?? null) !== null
}

async function hostIsReady(timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs
  while (!('skipstoneHost' in window) && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return 'skipstoneHost' in window
}

/** Undefined where the host is not there any more: Firefox runs a call that a crash interrupted again, in an empty page. */
async function callHost(request: { functionName: string; argument: string | undefined }): Promise<string | undefined> {
  type Host = Record<string, ((argument: unknown) => unknown) | undefined>
  const { skipstoneHost } = window as unknown as { skipstoneHost: Host | undefined }
  if (skipstoneHost === undefined) return undefined
  try {
    const hostFunction = skipstoneHost[request.functionName]
    if (hostFunction === undefined) throw new Error(`The page has no function ${request.functionName}.`)
    const value = await hostFunction(request.argument === undefined ? undefined : JSON.parse(request.argument))
    return JSON.stringify({ value })
  } catch (error) {
    const { code, message, stack } =
      error instanceof Error
        ? (error as Error & { code?: string })
        : { code: undefined, message: String(error), stack: undefined }
    return JSON.stringify({ error: { code: typeof code === 'string' ? code : undefined, message, stack } })
  }
}
