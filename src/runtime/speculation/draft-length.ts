import { bestLength, between, type Costs, speedup } from './cost-model.js'

/** The longest draft that is chosen, and the first one. */
const MOST = 8
const FIRST = 4
/** Tokens that are decoded densely: to measure what that costs, and where drafts cost more, before they are tried again. */
const MEASURED_STEPS = 8
const STRETCH = { least: 16, most: 128 }
/** Rounds after which the cost of a dense step is measured again: it grows with the context. */
const ROUNDS = 64
/** Weight of earlier rounds in the share of accepted tokens, and what is taken for it before the first. */
const MEMORY = 0.9
const PRIOR = { judged: 2, accepted: 1.6 }

/** Chooses how much is drafted at a time, from what earlier rounds of a sequence cost and gave. */
export class DraftLength {
  readonly most = MOST
  #judged = PRIOR.judged
  #accepted = PRIOR.accepted
  readonly #denseMs = new Recent()
  readonly #draftMs = new Recent()
  readonly #verifyMs = new Map<number, Recent>()
  #rounds = 0
  /** Of the stretch that the next one is twice as long as. */
  #stretch = 0
  #leftOfStretch = MEASURED_STEPS

  /** Steps to decode densely before anything is drafted. */
  get undrafted(): number {
    return this.#leftOfStretch
  }

  /** What rounds cost; undefined before the first one. */
  get costs(): Costs | undefined {
    const [dense, draft] = [this.#denseMs.median, this.#draftMs.median]
    if (dense === undefined || draft === undefined) return undefined
    const verify = new Map([...this.#verifyMs].map(([k, ms]) => [k, (ms.median as number) / dense]))
    const acceptance = Math.min(1, this.#accepted / this.#judged)
    return { acceptance, draft: draft / dense, verify: (k) => between(verify, k) }
  }

  /** The next draft's length where nothing is left to decode densely. */
  get length(): number {
    const { costs } = this
    if (!costs) return FIRST
    const best = bestLength(costs, MOST)
    if (best > 0) return best
    // It may have become cheaper, or better at guessing: the most promising one is tried.
    const lengths = Array.from({ length: MOST }, (_, i) => i + 1)
    return lengths.reduce((a, b) => (speedup(costs, b) > speedup(costs, a) ? b : a))
  }

  /** `steps` steps were decoded densely. */
  decoded(steps: number, ms: number): void {
    this.#denseMs.add(ms / steps)
    this.#leftOfStretch = Math.max(0, this.#leftOfStretch - steps)
  }

  /** A draft of `length` was verified; as many of its tokens were accepted, and the first that was not is the last that was judged. */
  verified(round: { length: number; accepted: number; draftMs: number; verifyMs: number }): void {
    const { length, accepted, draftMs, verifyMs } = round
    if (length === 0) return
    this.#judged = MEMORY * this.#judged + Math.min(length, accepted + 1)
    this.#accepted = MEMORY * this.#accepted + accepted
    this.#draftMs.add(draftMs / length)
    const times = this.#verifyMs.get(length) ?? new Recent()
    times.add(verifyMs)
    this.#verifyMs.set(length, times)
    this.#rounds++
    const { costs } = this
    if (costs && bestLength(costs, MOST) === 0) {
      this.#stretch = Math.min(STRETCH.most, Math.max(STRETCH.least, 2 * this.#stretch))
      this.#leftOfStretch = this.#stretch
    } else {
      this.#stretch = 0
      if (this.#rounds % ROUNDS === 0) this.#leftOfStretch = MEASURED_STEPS
    }
  }
}

/** The last few of a measurement: one that something else delayed, or a shader that was being compiled, does not count. */
class Recent {
  readonly #values: number[] = []

  get median(): number | undefined {
    const sorted = [...this.#values].sort((a, b) => a - b)
    return sorted[(sorted.length - 1) >> 1]
  }

  add(value: number): void {
    this.#values.push(value)
    if (this.#values.length > 5) this.#values.shift()
  }
}
