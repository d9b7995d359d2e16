import type { Step } from '../index.js'

export interface SpeedBin {
  /** Seconds of generating before this stretch. */
  readonly seconds: number
  readonly tokensPerSecond: number
}

/** When steps arrived. Only a live text has this: a saved trace holds no times. */
export class Speed {
  /** Milliseconds of generating until each generated token came, pauses between calls left out. */
  #times: number[] = []
  #elapsed = 0
  #previous: number | undefined
  #asked: number | undefined
  #promptTokens = 0
  #promptMs = 0

  /** A call was made: the time to its prompt step is the prompt's. `now` in milliseconds. */
  start(now: number): void {
    this.#asked = now
    this.#previous = undefined
  }

  push(step: Step, now: number): void {
    if (step.kind === 'prompt') {
      if (this.#asked !== undefined) {
        this.#promptTokens += step.tokens.length
        this.#promptMs += now - this.#asked
      }
      this.#asked = undefined
      this.#previous = now
    } else if (step.kind === 'token') {
      this.#elapsed += now - (this.#previous ?? now)
      this.#previous = now
      this.#times.push(this.#elapsed)
    } else {
      this.#previous = undefined
    }
  }

  get tokens(): number {
    return this.#times.length
  }

  get seconds(): number {
    return this.#elapsed / 1000
  }

  get promptTokens(): number {
    return this.#promptTokens
  }

  /** Tokens per second; 0 where too little came to say. */
  get prompt(): number {
    return this.#promptMs > 0 ? (1000 * this.#promptTokens) / this.#promptMs : 0
  }

  /** Tokens per second. The first token is the prompt's work. */
  get generation(): number {
    return this.#elapsed > 0 ? (1000 * (this.#times.length - 1)) / this.#elapsed : 0
  }

  /**
   * The rate in stretches of equal time, at most `bins`. Tokens come in batches, so a stretch lasts at least `leastMs` and the distance
   * between two tokens says nothing.
   */
  along(bins: number, leastMs = 500): SpeedBin[] {
    const count = Math.max(1, Math.min(bins, Math.floor(this.#elapsed / leastMs)))
    const width = this.#elapsed / count
    if (width === 0) return []
    const counts = new Array<number>(count).fill(0)
    for (const time of this.#times) {
      const bin = Math.min(count - 1, Math.floor(time / width))
      counts[bin] = (counts[bin] ?? 0) + 1
    }
    return counts.map((n, i) => ({ seconds: (i * width) / 1000, tokensPerSecond: (1000 * n) / width }))
  }
}
