/** Lets figures change at most so often while tokens arrive, and asks for the last change to be shown too. */
export class Throttle {
  #last = Number.NEGATIVE_INFINITY
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(
    private readonly intervalMs: number,
    private readonly request: () => void,
  ) {}

  /** Whether to show now. Where not, a request comes when it is time. */
  isDue(): boolean {
    const now = performance.now()
    const wait = this.#last + this.intervalMs - now
    if (wait <= 0) {
      this.#last = now
      return true
    }
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.request()
    }, wait)
    return false
  }

  /** The next change is shown at once. */
  reset(): void {
    this.#last = Number.NEGATIVE_INFINITY
  }
}
