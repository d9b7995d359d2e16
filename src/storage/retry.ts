import { SkipstoneError, throwIfAborted } from '../errors.js'
import { HttpError } from './http-folder.js'

const ATTEMPTS = 6
const FIRST_WAIT_MS = 250
const LONGEST_WAIT_MS = 30_000

/**
 * Runs `attempt` until it succeeds, waiting longer after each failure that may pass (a lost connection, 5xx, 429). An attempt
 * that reports progress before it fails starts the count again. @throws what the last attempt threw.
 */
export async function withRetries<T>(
  attempt: (progressed: () => void) => Promise<T>,
  signal: AbortSignal | undefined,
  mayPass: (error: unknown) => boolean = isNetwork,
): Promise<T> {
  for (let failures = 0; ; ) {
    try {
      return await attempt(() => {
        failures = 0
      })
    } catch (error) {
      failures++
      if (!mayPass(error) || failures >= ATTEMPTS) throw error
      await pause(waitFor(error, failures), signal)
    }
  }
}

function isNetwork(error: unknown): boolean {
  if (error instanceof HttpError) return error.passing
  return error instanceof SkipstoneError && error.code === 'network'
}

/** For a first request: a server that is there is overloaded, one that is not there is a wrong address. */
export function isOverload(error: unknown): boolean {
  return error instanceof HttpError && error.passing
}

/** What the server asked for, or twice as long each time; at random, so that many readers do not come back together. */
function waitFor(error: unknown, failures: number): number {
  const asked = error instanceof HttpError ? error.retryAfterMs : undefined
  const doubled = FIRST_WAIT_MS * 2 ** (failures - 1) * (0.5 + Math.random())
  return Math.min(LONGEST_WAIT_MS, asked ?? doubled)
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  throwIfAborted(signal)
  return new Promise((resolve, reject) => {
    const done = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      if (signal?.aborted) {
        reject(new SkipstoneError('aborted', 'The caller aborted this call.', { cause: signal.reason }))
      } else resolve()
    }
    const timer = setTimeout(done, ms)
    signal?.addEventListener('abort', done)
  })
}
