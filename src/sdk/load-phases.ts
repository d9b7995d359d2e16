import type { LoadOptions } from './options.js'

/** A part of a load. Parts overlap: shaders compile while files come. */
export interface LoadPhase {
  /**
   * `device`: the GPU opens; `config`: what is small is read; `download`, `verify`: as in `LoadProgress`; `upload`: weights go to the GPU;
   * `self-test`: kernel forms are chosen; `pipelines`: what the first token needs is compiled.
   */
  readonly name: 'device' | 'config' | 'download' | 'verify' | 'upload' | 'self-test' | 'pipelines'
  /** Milliseconds after `loadModel` was called. */
  readonly start: number
  readonly end: number
}

/** Notes when the parts of a load begin and end. */
export class LoadPhases {
  readonly #called = performance.now()
  readonly #done: LoadPhase[] = []

  /** Those that have ended, in the order of their beginnings. */
  get done(): LoadPhase[] {
    return this.#done.toSorted((a, b) => a.start - b.start)
  }

  async during<T>(name: LoadPhase['name'], work: PromiseLike<T>): Promise<T> {
    const start = this.#now()
    const result = await work
    this.#done.push({ name, start, end: this.#now() })
    return result
  }

  /** Bringing files: of what `work` reports as verifying, the time counts apart. */
  async fetching(
    work: (onProgress: LoadOptions['onProgress']) => PromiseLike<void> | undefined,
    onProgress: LoadOptions['onProgress'],
  ): Promise<void> {
    const start = this.#now()
    let verifying: number | undefined
    const fetched = work((progress) => {
      if (progress.phase === 'verify') verifying ??= this.#now()
      onProgress?.(progress)
    })
    if (!fetched) return
    await fetched
    const end = this.#now()
    const middle = verifying ?? end
    this.#done.push({ name: 'download', start, end: middle })
    if (middle < end) this.#done.push({ name: 'verify', start: middle, end })
  }

  #now(): number {
    return performance.now() - this.#called
  }
}
