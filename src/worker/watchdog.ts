import { SkipstoneError } from '../errors.js'

const TICK_MS = 1000

/** What a watchdog needs of the channel to a worker. */
export interface Watched {
  /** Whether anyone waits for the worker. */
  isWaiting(): boolean
  /** Resolves when the worker is there to answer. */
  ask(): Promise<void>
}

/**
 * Watches a worker while anyone waits for it. What a model brings along (a regular expression of its tokenizer, a chat template) can
 * keep a worker busy for ever, and then nothing but its end helps: `end` is called with `unresponsive` once it was silent for `patienceMs`.
 * Returns how to stop watching.
 */
export function watchdog(watched: Watched, patienceMs: number, end: (error: SkipstoneError) => void): () => void {
  let asked = false
  let silentMs = 0
  const timer = setInterval(() => {
    if (asked) {
      // In ticks, not by the clock: a page that was asleep comes back with a worker that slept as well.
      silentMs += TICK_MS
      if (silentMs < patienceMs) return
      clearInterval(timer)
      const seconds = Math.round(patienceMs / 1000)
      end(
        new SkipstoneError(
          'unresponsive',
          `The model's worker did not answer for ${seconds} seconds and was ended. Most likely the model's tokenizer or chat template never finishes on this input; load the model again, with another input or another tokenizer.`,
        ),
      )
    } else if (watched.isWaiting()) {
      asked = true
      const answered = () => {
        asked = false
        silentMs = 0
      }
      watched.ask().then(answered, answered)
    }
  }, TICK_MS)
  return () => clearInterval(timer)
}
