import { remaining } from '../speed.js'

/** Steps that the estimate is taken from. */
const STEPS = 20

/** How long the rest of a run will take, by its newest steps. */
export class Pace {
  #times: number[] = []

  /** A step is done. */
  add(at = performance.now()): void {
    this.#times = [...this.#times.slice(-STEPS), at]
  }

  /** The run held still: that time does not count. */
  rest(): void {
    this.#times = []
  }

  /** In words; '' until it can be told. */
  left(steps: number): string {
    const [first, last] = [this.#times[0], this.#times.at(-1)]
    if (steps <= 0 || first === undefined || last === undefined || this.#times.length < 2) return ''
    return remaining((((last - first) / (this.#times.length - 1)) * steps) / 1000)
  }
}
