import {
  chars,
  choice,
  complement,
  type Expression,
  MAX_CODE_POINT,
  type Ranges,
  repeat,
  sequence,
  tidy,
} from './expression.js'
import { Grammar } from './grammar.js'
import { TextSource } from './text-source.js'

/** One alternative of a regular expression, and whether it is tied to the start and the end of the text. */
export interface RegexBranch {
  readonly expression: Expression
  readonly fromStart: boolean
  readonly toEnd: boolean
}

/**
 * The grammar of all texts that a regular expression matches from beginning to end: `^` and `$` may be written or not.
 * JavaScript's syntax with the flag `u`: characters, `.`, classes, `\d \w \s` and their opposites, escapes, groups (which
 * capture nothing), `|`, and quantifiers (greedy and lazy match the same texts).
 * @throws SkipstoneError `bad-option` where the pattern is malformed; `unsupported`, naming it, for look-around,
 *   back-references, word boundaries, `\p`, flags, and anchors elsewhere than at the ends.
 */
export function regexGrammar(pattern: string): Grammar {
  const branches = parseRegex(pattern).map(({ expression }) => expression)
  return Grammar.of(new Map([['pattern', choice(...branches)]]), 'pattern')
}

/** The alternatives of a pattern. @throws as `regexGrammar` does. */
export function parseRegex(pattern: string): RegexBranch[] {
  const source = new TextSource(pattern, `The pattern /${pattern.slice(0, 60)}/`)
  const branches: RegexBranch[] = []
  do {
    const fromStart = source.take('^')
    const expression = sequenceOf(source)
    const toEnd = source.take('$')
    if (toEnd && !source.done && source.peek() !== '|')
      throw source.error('"$" is supported only at the ends', 'unsupported')
    branches.push({ expression, fromStart, toEnd })
  } while (source.take('|'))
  if (!source.done) throw unexpected(source)
  return branches
}

const DIGITS: Ranges = [[0x30, 0x39]]
const WORD: Ranges = tidy([...DIGITS, [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]])
const LINE_ENDS: Ranges = tidy([0x0a, 0x0d, 0x2028, 0x2029].map((char) => [char, char]))
const SPACE: Ranges = tidy([
  [0x09, 0x0d],
  [0x2000, 0x200a],
  ...LINE_ENDS,
  ...[0x20, 0xa0, 0x1680, 0x202f, 0x205f, 0x3000, 0xfeff].map((char) => [char, char] as const),
])
const CLASSES: Record<string, Ranges> = {
  d: DIGITS,
  D: complement(DIGITS),
  w: WORD,
  W: complement(WORD),
  s: SPACE,
  S: complement(SPACE),
}
const CONTROLS: Record<string, number> = { t: 9, n: 10, v: 11, f: 12, r: 13 }

function unexpected(source: TextSource): Error {
  const char = source.peek()
  if (char === '^' || char === '$') return source.error(`"${char}" is supported only at the ends`, 'unsupported')
  return source.error(`${JSON.stringify(char)} cannot be here`)
}

/** Alternatives inside a group. */
function alternatives(source: TextSource): Expression {
  const items = [sequenceOf(source)]
  while (source.take('|')) items.push(sequenceOf(source))
  return items.length === 1 ? items[0]! : choice(...items)
}

function sequenceOf(source: TextSource): Expression {
  const items: Expression[] = []
  while (!source.done && !/[|)$^]/.test(source.peek())) items.push(quantified(source, item(source)))
  return items.length === 1 ? items[0]! : sequence(...items)
}

function item(source: TextSource): Expression {
  if (source.take('(')) return group(source)
  if (source.take('[')) return chars(charClass(source))
  if (source.take('.')) return chars(complement(LINE_ENDS))
  if (source.take('\\')) return chars(escaped(source, false))
  if (/[*+?{}\]]/.test(source.peek())) throw unexpected(source)
  return chars(single(source.next()))
}

function single(char: string): Ranges {
  const codePoint = char.codePointAt(0)!
  return [[codePoint, codePoint]]
}

function group(source: TextSource): Expression {
  if (source.take('?') && !source.take(':')) {
    const name = source.take('<') ? source.takeWhile(/[\w$]/) : ''
    if (name === '' || !source.take('>'))
      throw source.error('look-around and flags in groups are not supported', 'unsupported')
  }
  const inside = source.nested(() => alternatives(source))
  if (source.take(')')) return inside
  if (source.done) throw source.error('a ")" is missing')
  throw unexpected(source)
}

function quantified(source: TextSource, expression: Expression): Expression {
  const [min, max] = quantifier(source)
  if (min === 1 && max === 1) return expression
  if (max < min) throw source.error(`{${min},${max}} asks for at least more than at most`)
  return repeat(expression, min, max)
}

function quantifier(source: TextSource): [number, number] {
  let bounds: [number, number]
  if (source.take('*')) bounds = [0, Number.POSITIVE_INFINITY]
  else if (source.take('+')) bounds = [1, Number.POSITIVE_INFINITY]
  else if (source.take('?')) bounds = [0, 1]
  else if (source.take('{')) bounds = braces(source)
  else return [1, 1]
  source.take('?')
  if (/[*+?{]/.test(source.peek())) throw source.error('a quantifier stands after another')
  return bounds
}

function braces(source: TextSource): [number, number] {
  const min = source.number()
  const max = source.take(',') ? (source.number() ?? Number.POSITIVE_INFINITY) : min
  if (min === undefined || max === undefined || !source.take('}')) throw source.error('a quantifier is malformed')
  return [min, max]
}

/** What an escape stands for, after the backslash. */
function escaped(source: TextSource, inClass: boolean): Ranges {
  const char = source.next()
  if (char === '') throw source.error('it ends in a backslash')
  const known = Object.hasOwn(CLASSES, char) ? CLASSES[char] : undefined
  if (known) return known
  const control = Object.hasOwn(CONTROLS, char) ? CONTROLS[char] : undefined
  if (control !== undefined) return [[control, control]]
  if (char === 'x') return one(source.hex(2))
  if (char === 'u') return one(unicode(source))
  if (char === '0' && !/[0-9]/.test(source.peek())) return one(0)
  if (char === 'b' && inClass) return one(8)
  if (/[bBpPkc0-9]/.test(char)) throw source.error(`\\${char} is not supported`, 'unsupported')
  if (/[a-zA-Z]/.test(char)) throw source.error(`the escape \\${char} is unknown`)
  return single(char)
}

const one = (codePoint: number): Ranges => [[codePoint, codePoint]]

/** The code point of `\uXXXX`, `\u{X…}`, or two `\uXXXX` that are a surrogate pair. */
function unicode(source: TextSource): number {
  if (source.take('{')) {
    const digits = source.takeWhile(/[0-9a-fA-F]/)
    const codePoint = Number.parseInt(digits, 16)
    if (!source.take('}') || !(codePoint <= MAX_CODE_POINT)) throw source.error('\\u{…} is malformed')
    return codePoint
  }
  const high = source.hex(4)
  if (high < 0xd800 || high > 0xdbff || !source.take('\\u')) return high
  const low = source.hex(4)
  if (low < 0xdc00 || low > 0xdfff) throw source.error('a surrogate stands alone')
  return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)
}

function charClass(source: TextSource): Ranges {
  const negated = source.take('^')
  const ranges: (readonly [number, number])[] = []
  const member = (): Ranges => {
    if (source.done) throw source.error('a class is not closed with "]"')
    return source.take('\\') ? escaped(source, true) : single(source.next())
  }
  while (!source.take(']')) {
    const from = member()
    if (source.peek() !== '-' || source.peek(1) === ']') {
      ranges.push(...from)
      continue
    }
    source.next()
    const to = member()
    const ends = [...from, ...to]
    if (ends.length !== 2 || ends.some(([low, high]) => low !== high))
      throw source.error('a range needs two characters')
    if (to[0]![0] < from[0]![0]) throw source.error('a range of characters runs backwards')
    ranges.push([from[0]![0], to[0]![0]])
  }
  return negated ? complement(ranges) : tidy(ranges)
}
