import { throwIfAborted } from '../errors.js'
import type { EngineModel } from '../sdk/model.js'
import type { LoadOptions } from '../sdk/options.js'

/** What a user of a model is told of it. */
export type Watcher = Required<Pick<LoadOptions, 'onProgress' | 'onWarning' | 'onDeviceLost'>>

export type Load = (signal: AbortSignal, watcher: Watcher) => Promise<EngineModel>

interface Entry {
  readonly model: Promise<EngineModel>
  readonly controller: AbortController
  /** One for each user. */
  readonly watchers: Set<Watcher>
}

/** Models that several pages use at once: each is loaded once, and freed when the last one lets go. */
export class SharedModels {
  readonly #entries = new Map<string, Entry>()

  /**
   * The model of this key, loaded by `load` where it is not yet; call `release` when it is no longer used.
   * @throws as `load`, and `aborted`; a load goes on while anyone waits for it.
   */
  async use(
    key: string,
    o: { readonly signal: AbortSignal; readonly watcher: Watcher },
    load: Load,
  ): Promise<{ model: EngineModel; release: () => void }> {
    throwIfAborted(o.signal)
    const entry = this.#entries.get(key) ?? this.#begin(key, load)
    entry.watchers.add(o.watcher)
    const release = () => {
      if (!entry.watchers.delete(o.watcher) || entry.watchers.size > 0) return
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
    }
  }

  #begin(key: string, load: Load): Entry {
    const controller = new AbortController()
    const watchers = new Set<Watcher>()
    const model = load(controller.signal, {
      onProgress: (progress) => {
        for (const { onProgress } of watchers) onProgress(progress)
      },
      onWarning: (warning) => {
        for (const { onWarning } of watchers) onWarning(warning)
      },
      onDeviceLost: (message) => {
        for (const { onDeviceLost } of watchers) onDeviceLost(message)
      },
    })
    const entry: Entry = { model, controller, watchers }
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
