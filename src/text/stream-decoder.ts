import type { TextTokenizer } from './tokenizer.js'

/**
 * How many ids the window keeps when it is cut. A character that is still incomplete spans at most three ids (one byte
 * each), and what is missing at the window's start makes at most three replacement characters; eight is clear of both.
 */
const KEPT = 8
const LIMIT = 2 * KEPT

const REPLACEMENT = '\uFFFD'

/**
 * Decodes ids to text one at a time. The pieces, joined, are the decoded whole; a character whose bytes come in several
 * tokens is held back until it is complete. Every step decodes a short window of recent ids, so its cost does not grow.
 *
 * With `context`, the ids of the prompt, pieces continue its text: a first word keeps its leading space where the text
 * of prompt and word together has one. Of special tokens, those in `shown` are part of the text.
 */
export class StreamDecoder {
  readonly #tokenizer: TextTokenizer
  readonly #shown: ReadonlySet<number>
  #window: number[] = []
  /** How many UTF-16 units of the window's text were handed out. */
  #emitted = 0

  constructor(tokenizer: TextTokenizer, options: { context?: readonly number[]; shown?: ReadonlySet<number> } = {}) {
    this.#tokenizer = tokenizer
    this.#shown = options.shown ?? new Set()
    this.#window = (options.context ?? []).filter((id) => this.#hasText(id)).slice(-KEPT)
    this.#emitted = completeLength(this.#decode(this.#window))
  }

  /** The text that this id completes; '' where it completes none. */
  push(id: number): string {
    if (!this.#hasText(id)) return ''
    this.#window.push(id)
    const text = this.#decode(this.#window)
    const end = completeLength(text)
    const piece = text.slice(this.#emitted, end)
    this.#emitted = end
    if (this.#window.length >= LIMIT) this.#shorten(text)
    return piece
  }

  /** The rest, at the end: U+FFFD where the ids ended inside a character, '' otherwise. */
  flush(): string {
    const rest = this.#decode(this.#window).slice(this.#emitted)
    this.#emitted += rest.length
    return rest
  }

  /** Drops the oldest ids. Both windows end in the same text, so what is not handed out is counted from the end. */
  #shorten(text: string): void {
    const window = this.#window.slice(-KEPT)
    const shorter = this.#decode(window)
    // A decoder takes the space off the first word it sees, so a window without text would lose the next word's space.
    if (shorter === '') return
    this.#window = window
    this.#emitted = shorter.length - (text.length - this.#emitted)
  }

  /** Skipped ids never enter the window: it would begin with them, and the word after them would lose its space. */
  #hasText(id: number): boolean {
    return id < this.#tokenizer.vocabSize && (this.#shown.has(id) || !this.#tokenizer.specialIds.has(id))
  }

  #decode(ids: readonly number[]): string {
    return this.#tokenizer.decode(ids, { skipSpecialTokens: false })
  }
}

/** The text without its last character where that may be an incomplete one: an unfinished sequence decodes to one U+FFFD. */
function completeLength(text: string): number {
  return text.endsWith(REPLACEMENT) ? text.length - 1 : text.length
}
