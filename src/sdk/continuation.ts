import { StopStrings } from '../text/stop-strings.js'
import { StreamDecoder } from '../text/stream-decoder.js'
import type { TextTokenizer } from '../text/tokenizer.js'

/** Turns generated tokens into text, watches for stop strings, and knows which tokens a stop string leaves. */
export class Continuation {
  readonly #decoder: StreamDecoder | undefined
  readonly #stops: StopStrings
  /** Length of the decoded text after each token. */
  readonly #ends: number[] = []
  #decoded = 0
  #stoppedAt: number | undefined

  /** Without a tokenizer there is no text, and no stop strings. Of special tokens the text holds those that are `spelled`. */
  constructor(
    tokenizer: TextTokenizer | undefined,
    context: readonly number[],
    { stops, spelled = [] }: { readonly stops: readonly string[]; readonly spelled?: readonly string[] | undefined },
  ) {
    const shown = new Set(spelled.flatMap((token) => tokenizer?.idOf(token) ?? []))
    this.#decoder = tokenizer && new StreamDecoder(tokenizer, { context, shown })
    this.#stops = new StopStrings(stops)
  }

  /** Text that became certain with this token, and whether a stop string is complete. */
  push(token: number): { text: string; stopped: boolean } {
    const piece = this.#decoder?.push(token) ?? ''
    this.#decoded += piece.length
    this.#ends.push(this.#decoded)
    return this.#watch(this.#stops.push(piece))
  }

  /** The text that was held back. */
  finish(): string {
    if (this.#stoppedAt !== undefined) return ''
    const rest = this.#stops.push(this.#decoder?.flush() ?? '')
    const { text, stopped } = this.#watch(rest)
    return stopped ? text : text + this.#stops.flush()
  }

  /** Tokens whose text ends before the stop string, or all. */
  get kept(): number {
    const at = this.#stoppedAt
    if (at === undefined) return this.#ends.length
    const first = this.#ends.findIndex((end) => end > at)
    return first < 0 ? this.#ends.length : first
  }

  #watch(result: { emit: string; stopped: boolean; at?: number }): { text: string; stopped: boolean } {
    if (result.stopped) this.#stoppedAt = result.at
    return { text: result.emit, stopped: result.stopped }
  }
}
