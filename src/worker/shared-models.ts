import { throwIfAborted } from '../errors.js'
import type { EngineModel } from '../sdk/model.js'
import type { LoadProgress } from '../sdk/options.js'

type Listener = (progress: LoadProgress) => void

interface Entry {
  readonly model: Promise<EngineModel>
  readonly controller: AbortController
  readonly listeners: Set<Listener>
  users: number
}

/** Models that several pages use at once: each is loaded once, and freed when the last one lets go. */
export class SharedModels {
  readonly #entries = new Map<string, Entry>()

  /**
   * The model of this key, loaded by `load` where it is not yet. Call `release` with what this returns once per call.
   * @throws as `load`, and `aborted`; a load goes on while anyone waits for it.
   */
  async use(
    key: string,
    o: { signal: AbortSignal; onProgress: Listener },
    load: (signal: AbortSignal, onProgress: Listener) => Promise<EngineModel>,
  ): Promise<{ model: EngineModel; release: () => void }> {
    throwIfAborted(o.signal)
    const entry = this.#entries.get(key) ?? this.#begin(key, load)
    entry.users++
    entry.listeners.add(o.onProgress)
    let released = false
    const release = () => {
      if (released) return
      released = true
      entry.users--
      if (entry.users > 0) return
      if (this.#entries.get(key) === entry) this.#entries.delete(key)
      entry.controller.abort()
      entry.model.then(
        (model) => model.dispose(),
        () => undefined,
      )
    }
    try {
      return { model: await untilAborted(entry.model, o.signal), release }
    } catch (error) {
      release()
      throw error
    } finally {
      entry.listeners.delete(o.onProgress)
    }
  }

  #begin(key: string, load: (signal: AbortSignal, onProgress: Listener) => Promise<EngineModel>): Entry {
    const controller = new AbortController()
    const listeners = new Set<Listener>()
    const model = load(controller.signal, (progress) => {
      for (const listener of listeners) listener(progress)
    })
    const entry: Entry = { model, controller, listeners, users: 0 }
    this.#entries.set(key, entry)
    // The next one tries again.
    model.catch(() => {
      if (this.#entries.get(key) === entry) this.#entries.delete(key)
    })
    return entry
  }
}

/** `promise`, or `aborted` as soon as the signal fires. */
function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      try {
        throwIfAborted(signal)
      } catch (error) {
        reject(error)
      }
    }
    signal.addEventListener('abort', abort)
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
