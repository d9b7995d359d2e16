import { SkipstoneError } from '../errors.js'
import type { Port } from './port.js'

export interface Spawned {
  readonly port: Port
  /** Rejects where the worker's script cannot be loaded. */
  readonly failed: Promise<never>
  end(): void
}

/** Starts a worker for one model. @throws `unsupported` where there are no workers. */
export function spawnWorker(): Spawned {
  if (typeof Worker === 'undefined') {
    throw new SkipstoneError(
      'unsupported',
      'There are no Web Workers here: import loadModel from "skipstone", or give a port of a worker of your own.',
    )
  }
  const worker = new Worker(new URL('./engine.ts', import.meta.url), { type: 'module', name: 'skipstone' })
  let speaks = false
  worker.addEventListener(
    'message',
    () => {
      speaks = true
    },
    { once: true },
  )
  const failed = new Promise<never>((_, reject) => {
    worker.addEventListener('error', ({ message }) => {
      if (speaks) reject(new SkipstoneError('internal', `Something failed in the worker: ${message}.`))
      reject(
        new SkipstoneError(
          'not-found',
          `Skipstone's worker does not run${message ? ` (${message})` : ''}: check that the page's Content-Security-Policy allows workers of its own site, and that the bundler kept engine.js beside the module that starts it.`,
        ),
      )
    })
  })
  return { port: worker as unknown as Port, failed, end: () => worker.terminate() }
}
