import { SkipstoneError } from '../errors.js'

/** What one piece of text leads to. */
export interface StopResult {
  /** Text that may be shown: it belongs to no stop string, whatever follows. */
  readonly emit: string
  readonly stopped: boolean
  /** Once stopped: the stop string that was found. */
  readonly stop?: string
  /** Once stopped: where it begins, in UTF-16 units from the start of the first piece; as much text was emitted. */
  readonly at?: number
}

/**
 * Looks for stop strings in text that comes in pieces. A stop string may span pieces, so the longest end of the text
 * that could still become one is held back. The stop string that is complete first wins, and of those that end together
 * the longest: the result does not depend on where the text was cut.
 */
export class StopStrings {
  readonly #stops: readonly string[]
  #held = ''
  #emitted = 0
  #found: StopResult | undefined

  /** @throws `bad-option` where a stop string is empty. */
  constructor(stops: readonly string[]) {
    if (stops.includes(''))
      throw new SkipstoneError('bad-option', 'A stop string is empty. Leave it out, or give it at least one character.')
    this.#stops = stops
  }

  /** Takes the next piece. After a stop, pieces are ignored and the same stop is reported with nothing to emit. */
  push(piece: string): StopResult {
    if (this.#found) return this.#found
    const text = this.#held + piece
    const match = this.#firstMatch(text)
    const emit = text.slice(0, match ? match.index : text.length - this.#heldLength(text))
    this.#emitted += emit.length
    if (!match) {
      this.#held = text.slice(emit.length)
      return { emit, stopped: false }
    }
    this.#held = ''
    this.#found = { emit: '', stopped: true, stop: match.stop, at: this.#emitted }
    return { ...this.#found, emit }
  }

  /** The text that was held back, at the end of the text; '' after a stop. */
  flush(): string {
    const rest = this.#held
    this.#held = ''
    this.#emitted += rest.length
    return rest
  }

  #firstMatch(text: string): { stop: string; index: number } | undefined {
    let best: { stop: string; index: number; end: number } | undefined
    for (const stop of this.#stops) {
      const index = text.indexOf(stop)
      const end = index + stop.length
      if (index >= 0 && (!best || end < best.end || (end === best.end && index < best.index)))
        best = { stop, index, end }
    }
    return best
  }

  /** The length of the longest end of the text that begins a stop string. */
  #heldLength(text: string): number {
    const longest = Math.max(0, ...this.#stops.map((stop) => stop.length - 1))
    for (let length = Math.min(longest, text.length); length > 0; length--) {
      const end = text.slice(-length)
      if (this.#stops.some((stop) => stop.startsWith(end))) return length
    }
    return 0
  }
}
