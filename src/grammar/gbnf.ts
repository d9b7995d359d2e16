import {
  chars,
  choice,
  complement,
  EMPTY,
  type Expression,
  literal,
  MAX_CODE_POINT,
  repeat,
  rule,
  sequence,
  tidy,
} from './expression.js'
import { Grammar } from './grammar.js'
import { TextSource } from './text-source.js'

/**
 * The grammar of a text in llama.cpp's GBNF: rules `name ::= …` of literals, character classes, `.` (any character),
 * groups, alternatives and repetitions; comments from `#`. Texts are what the rule `root` matches, from beginning to end.
 * A line break ends a rule except in parentheses, after `|` and `::=`, and before a line that begins with `|`.
 * @throws SkipstoneError `bad-option` with the line and what is wrong; `unsupported` for left recursion, token
 *   references (`<…>`) and what is too large.
 */
export function parseGbnf(text: string): Grammar {
  const source = new TextSource(text, 'GBNF')
  const rules = new Map<string, Expression>()
  const used = new Map<string, ReturnType<TextSource['error']>>()
  const parser = new GbnfParser(source, used)
  parser.space(true)
  while (!source.done) {
    const name = parser.name()
    if (name === '') throw source.error(`a rule must begin here, not ${JSON.stringify(source.peek())}`)
    if (rules.has(name)) throw source.error(`the rule "${name}" is defined twice`)
    parser.space(false)
    if (!source.take('::=')) throw source.error(`"::=" must follow the name "${name}"`)
    parser.space(true)
    rules.set(name, parser.alternatives(false))
    if (!source.done && !/[\r\n]/.test(source.peek()))
      throw source.error(`${JSON.stringify(source.peek())} cannot be here`)
    parser.space(true)
  }
  if (!rules.has('root')) throw source.error('there is no rule "root"')
  for (const [name, error] of used) if (!rules.has(name)) throw error
  return Grammar.of(rules, 'root')
}

const ESCAPES: Record<string, string> = { n: '\n', r: '\r', t: '\t' }
const HEX_DIGITS: Record<string, number> = { x: 2, u: 4, U: 8 }

class GbnfParser {
  readonly #source: TextSource
  /** Rules that were referred to, with the error for the case that they are missing. */
  readonly #used: Map<string, ReturnType<TextSource['error']>>

  constructor(source: TextSource, used: Map<string, ReturnType<TextSource['error']>>) {
    this.#source = source
    this.#used = used
  }

  name(): string {
    return this.#source.takeWhile(/[\w-]/)
  }

  space(lineBreaks: boolean): void {
    const source = this.#source
    for (;;) {
      source.takeWhile(lineBreaks ? /[ \t\r\n]/ : /[ \t]/)
      if (source.peek() !== '#') return
      source.takeWhile(/[^\r\n]/)
    }
  }

  alternatives(nested: boolean): Expression {
    const source = this.#source
    const items = [this.#sequence(nested)]
    for (;;) {
      // No rule begins with "|", so a line that does goes on with the last one.
      if (/[\r\n]/.test(source.peek()) && this.#barFollows()) this.space(true)
      if (!source.take('|')) return items.length === 1 ? items[0]! : choice(...items)
      this.space(true)
      items.push(this.#sequence(nested))
    }
  }

  #barFollows(): boolean {
    let ahead = 0
    while (/[ \t\r\n]/.test(this.#source.peek(ahead))) ahead++
    return this.#source.peek(ahead) === '|'
  }

  #sequence(nested: boolean): Expression {
    const items: Expression[] = []
    for (;;) {
      const item = this.#item()
      if (!item) return items.length === 0 ? EMPTY : sequence(...items)
      items.push(this.#repeated(item))
      this.space(nested)
    }
  }

  #item(): Expression | undefined {
    const source = this.#source
    if (source.take('"')) return this.#literal()
    if (source.take('[')) return this.#class()
    if (source.take('.')) return chars([[0, MAX_CODE_POINT]])
    if (source.take('(')) {
      const group = source.nested(() => {
        this.space(true)
        return this.alternatives(true)
      })
      if (!source.take(')')) throw source.error('a ")" is missing')
      return group
    }
    if (/[<!]/.test(source.peek()))
      throw source.error('token references are not supported; write the text', 'unsupported')
    if (/[*+?{]/.test(source.peek())) throw source.error(`nothing stands before "${source.peek()}" to repeat`)
    const name = this.name()
    if (name === '') return undefined
    this.#used.set(name, this.#used.get(name) ?? source.error(`the rule "${name}" is not defined`))
    return rule(name)
  }

  #repeated(item: Expression): Expression {
    const source = this.#source
    if (source.take('*')) return this.#repeated(repeat(item, 0, Number.POSITIVE_INFINITY))
    if (source.take('+')) return this.#repeated(repeat(item, 1, Number.POSITIVE_INFINITY))
    if (source.take('?')) return this.#repeated(repeat(item, 0, 1))
    if (!source.take('{')) return item
    this.space(false)
    const min = source.number()
    if (min === undefined) throw source.error('a count must follow "{"')
    this.space(false)
    let max = min
    if (source.take(',')) {
      this.space(false)
      max = source.number() ?? Number.POSITIVE_INFINITY
      this.space(false)
    }
    if (!source.take('}')) throw source.error('a "}" is missing')
    if (max < min) throw source.error(`{${min},${max}} asks for at least more than at most`)
    return this.#repeated(repeat(item, min, max))
  }

  #literal(): Expression {
    const source = this.#source
    let text = ''
    while (!source.take('"')) {
      if (source.done || /[\r\n]/.test(source.peek()))
        throw source.error("a literal is not closed with '\"' in its line")
      text += String.fromCodePoint(this.#char())
    }
    return literal(text)
  }

  #class(): Expression {
    const source = this.#source
    const negated = source.take('^')
    const ranges: [number, number][] = []
    while (!source.take(']')) {
      if (source.done || /[\r\n]/.test(source.peek())) throw source.error('a class is not closed with "]" in its line')
      const from = this.#char()
      const isRange = source.peek() === '-' && source.peek(1) !== ']'
      if (isRange) source.next()
      const to = isRange ? this.#char() : from
      if (to < from) throw source.error('a range of characters runs backwards')
      ranges.push([from, to])
    }
    if (ranges.length === 0 && !negated) throw source.error('a class is empty')
    return chars(negated ? complement(ranges) : tidy(ranges))
  }

  /** One character of a literal or a class, escaped or not. */
  #char(): number {
    const source = this.#source
    const char = source.next()
    if (char !== '\\') return char.codePointAt(0) ?? 0
    const escaped = source.next()
    const digits = HEX_DIGITS[escaped]
    if (digits !== undefined) return source.hex(digits)
    const meant = ESCAPES[escaped] ?? (/["\\[\]^-]/.test(escaped) ? escaped : undefined)
    if (meant === undefined) throw source.error(`the escape ${JSON.stringify(`\\${escaped}`)} is unknown`)
    return meant.codePointAt(0)!
  }
}
