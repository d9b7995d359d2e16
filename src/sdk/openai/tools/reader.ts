import type { ToolCall } from '../types.js'
import type { ToolForm } from './forms.js'

/** Tells calls of tools from text while an answer comes. */
export class ToolCallReader {
  #text = ''
  #given = 0

  constructor(
    private readonly form: ToolForm,
    private readonly names: ReadonlySet<string>,
  ) {}

  /** What is text for certain. */
  push(text: string): string {
    this.#text += text
    const certain = this.#text.slice(this.#given, this.form.begin(this.#text))
    this.#given += certain.length
    return certain
  }

  /** The rest: calls, or text that only began like some. */
  end(): { text: string; calls: ToolCall[] } {
    const rest = this.#text.slice(this.#given)
    const calls = rest === '' ? undefined : this.form.parse(rest)
    if (!calls?.every(({ name }) => this.names.has(name))) return { text: rest, calls: [] }
    return {
      text: '',
      calls: calls.map(({ name, arguments: values }) => ({
        id: callId(),
        type: 'function',
        function: { name, arguments: JSON.stringify(values) },
      })),
    }
  }
}

/** Nine letters and digits: Mistral's templates take no others. */
function callId(): string {
  return crypto.randomUUID().replaceAll('-', '').slice(0, 9)
}
