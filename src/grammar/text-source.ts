import { SkipstoneError } from '../errors.js'

/** How deep groups may be nested: parsers and compiler walk them by recursion. */
const MAX_NESTING = 200

/** Reads a text character by character, with errors that say where. */
export class TextSource {
  /** As code points, so that no character is halved. */
  readonly #chars: readonly string[]
  readonly #what: string
  #at = 0
  #nesting = 0

  /** @param what names the text in errors: `GBNF`, or the pattern. */
  constructor(text: string, what: string) {
    this.#chars = Array.from(text)
    this.#what = what
  }

  get done(): boolean {
    return this.#at >= this.#chars.length
  }

  /** The next character, '' at the end. */
  peek(ahead = 0): string {
    return this.#chars[this.#at + ahead] ?? ''
  }

  next(): string {
    return this.#chars[this.#at++] ?? ''
  }

  /** Takes `text` if it comes next. */
  take(text: string): boolean {
    if (!Array.from(text).every((char, i) => this.peek(i) === char)) return false
    this.#at += Array.from(text).length
    return true
  }

  /** Takes characters as long as they match. */
  takeWhile(pattern: RegExp, limit = Number.POSITIVE_INFINITY): string {
    let taken = ''
    for (let i = 0; i < limit && !this.done && pattern.test(this.peek()); i++) taken += this.next()
    return taken
  }

  /** A code point written as `digits` hexadecimal digits. */
  hex(digits: number): number {
    const text = this.takeWhile(/[0-9a-fA-F]/, digits)
    const codePoint = Number.parseInt(text, 16)
    if (text.length < digits) throw this.error(`${digits} hexadecimal digits must follow`)
    if (codePoint > 0x10ffff) throw this.error(`${text} is no character`)
    return codePoint
  }

  /** A whole number, undefined where there is none. */
  number(): number | undefined {
    const digits = this.takeWhile(/[0-9]/)
    return digits === '' ? undefined : Number(digits)
  }

  nested<T>(parse: () => T): T {
    if (++this.#nesting > MAX_NESTING)
      throw this.error(`groups are nested more than ${MAX_NESTING} deep`, 'unsupported')
    const parsed = parse()
    this.#nesting--
    return parsed
  }

  /** An error that says in which line it is, where there are several. */
  error(problem: string, code: 'bad-option' | 'unsupported' = 'bad-option'): SkipstoneError {
    const line = this.#chars.slice(0, this.#at).filter((char) => char === '\n').length + 1
    const where = this.#chars.includes('\n') || line > 1 ? `, line ${line}` : ''
    return new SkipstoneError(code, `${this.#what}${where}: ${problem}.`)
  }
}
