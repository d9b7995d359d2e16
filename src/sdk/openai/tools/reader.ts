import type { ToolCall } from '../types.js'
import { callsBegin, type ParsedCall, parseCalls, type ToolForm } from './forms.js'

/** Tells calls of tools from text while an answer comes. */
export class ToolCallReader {
  #text = ''
  #given = 0
  #first: readonly ParsedCall[] | undefined

  constructor(
    private readonly form: ToolForm,
    private readonly names: readonly string[],
    /** Whatever follows the first call does not count. */
    private readonly single = false,
  ) {}

  /** What is text for certain. */
  push(text: string): string {
    const [from, length] = [this.#given, this.#text.length]
    this.#text += text
    this.#given = callsBegin(this.form, this.#text, from)
    for (const { index } of this.single ? text.matchAll(/}/g) : []) {
      const written = this.#text.slice(this.#given, length + index + 1)
      // The list that it is in may go on.
      this.#first ??= this.#known(written) ?? this.#known(`${written}]`)
    }
    return this.#text.slice(from, this.#given)
  }

  /** Whether nothing counts that may still come. */
  get done(): boolean {
    return this.#first !== undefined
  }

  /** The rest: calls, or text that only began like some. */
  end(): { text: string; calls: ToolCall[] } {
    const rest = this.#text.slice(this.#given)
    const calls = this.single ? this.#first : this.#known(rest)
    if (!calls) return { text: rest, calls: [] }
    // Nine letters and digits: Mistral's templates take no others.
    return {
      text: '',
      calls: calls.map((called) => ({ id: crypto.randomUUID().slice(-9), type: 'function', function: called })),
    }
  }

  /** Calls of tools that there are. */
  #known(text: string): readonly ParsedCall[] | undefined {
    const calls = parseCalls(text)
    return calls?.every(({ name }) => this.names.includes(name)) ? calls : undefined
  }
}
