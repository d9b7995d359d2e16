import {
  chars,
  choice,
  complement,
  type Expression,
  intersection,
  literal,
  oneOf,
  optional,
  type Ranges,
  repeat,
  rule,
  sequence,
} from './expression.js'

/*
 * JSON as rules. Whatever could go on for ever without saying anything has an end: white space is one space, or a line
 * break with some indentation, and only after `{ [ , :` and before `} ]`; numbers have as many digits as JavaScript writes
 * and never become Infinity. Only strings, arrays and objects are as long as the model likes.
 */

const INDENTATION = 32
const FOREVER = Number.POSITIVE_INFINITY

export const SPACE = rule('json space')
export const CHAR = rule('json character')
export const STRING = rule('json string')
export const VALUE = rule('json value')
export const OBJECT = rule('json object')
export const ARRAY = rule('json array')
export const NUMBER = rule('json number')
export const INTEGER = rule('json integer')

/** What a JSON string writes as an escape, always. */
const ESCAPED: Ranges = [
  [0, 0x1f],
  [0x22, 0x22],
  [0x5c, 0x5c],
]
const PLAIN = complement(ESCAPED)
const DIGIT = oneOf('0123456789')
const HEX = oneOf('0123456789abcdefABCDEF')

export const digits = (min: number, max: number) => repeat(DIGIT, min, max)
export const fraction = (max: number) => sequence(literal('.'), digits(1, max))

/** Items with commas between them, from `min` to `max` (at least 1) of them. */
export function list(item: Expression, min: number, max: number): Expression {
  const all = sequence(item, repeat(sequence(literal(','), SPACE, item), Math.max(min, 1) - 1, max - 1))
  return min === 0 ? optional(all) : all
}

/** Brackets around a content that may be left out where `mayBeEmpty`. */
export function enclosed(open: string, content: Expression, close: string, mayBeEmpty: boolean): Expression {
  const spaced = sequence(content, SPACE)
  return sequence(literal(open), SPACE, mayBeEmpty ? optional(spaced) : spaced, literal(close))
}

export const member = (key: Expression, value: Expression) => sequence(key, literal(':'), SPACE, value)

/** A character of a string as JSON.stringify writes it, for each that the ranges have. */
export function spelled(ranges: Ranges): Expression {
  const escapes = intersection(ranges, ESCAPED).flatMap(([from, to]) =>
    Array.from({ length: to - from + 1 }, (_, i) => literal(stringContent(String.fromCharCode(from + i)))),
  )
  return choice(chars(intersection(ranges, PLAIN)), ...escapes)
}

/** A text as it stands in a JSON string, without the quotation marks. */
export function stringContent(text: string): string {
  return JSON.stringify(text).slice(1, -1)
}

/** `\uXXXX` for a character, two of them for those beyond the first plane: half a pair would be no character. */
const UNICODE_ESCAPE = choice(
  sequence(oneOf('0123456789abcefABCEF'), repeat(HEX, 3, 3)),
  sequence(oneOf('dD'), oneOf('01234567'), repeat(HEX, 2, 2)),
  sequence(
    oneOf('dD'),
    oneOf('89abAB'),
    repeat(HEX, 2, 2),
    literal('\\u'),
    oneOf('dD'),
    oneOf('cdefCDEF'),
    repeat(HEX, 2, 2),
  ),
)

const NON_NEGATIVE = (places: number) => choice(literal('0'), sequence(oneOf('123456789'), digits(0, places - 1)))

/** Up to 9.99e307 and down to nothing, after one digit. */
const EXPONENT = sequence(
  oneOf('eE'),
  choice(
    sequence(literal('-'), digits(1, 3)),
    sequence(
      optional(literal('+')),
      choice(digits(1, 2), sequence(oneOf('12'), digits(2, 2)), sequence(literal('30'), oneOf('01234567'))),
    ),
  ),
)

/** The rules of JSON, to which a schema adds its own. */
export function jsonRules(): Map<string, Expression> {
  return new Map<string, Expression>([
    ['json space', optional(choice(literal(' '), sequence(literal('\n'), repeat(oneOf(' \t'), 0, INDENTATION))))],
    [
      'json character',
      choice(chars(PLAIN), sequence(literal('\\'), choice(oneOf('"\\/bfnrt'), sequence(literal('u'), UNICODE_ESCAPE)))),
    ],
    ['json string', sequence(literal('"'), repeat(CHAR, 0, FOREVER), literal('"'))],
    [
      'json number',
      sequence(
        optional(literal('-')),
        choice(sequence(NON_NEGATIVE(21), optional(fraction(24))), sequence(DIGIT, optional(fraction(24)), EXPONENT)),
      ),
    ],
    ['json integer', sequence(optional(literal('-')), NON_NEGATIVE(16))],
    ['json object', enclosed('{', list(member(STRING, VALUE), 1, FOREVER), '}', true)],
    ['json array', enclosed('[', list(VALUE, 1, FOREVER), ']', true)],
    ['json value', choice(OBJECT, ARRAY, STRING, NUMBER, literal('true'), literal('false'), literal('null'))],
  ])
}
