import { SkipstoneError } from '../errors.js'
import { choice, EMPTY, type Expression, literal, mapChars, repeat, sequence } from './expression.js'
import { FORMATS } from './json-formats.js'
import { type Bounds, integersWithin, numbersWithin } from './json-numbers.js'
import { CHAR, INTEGER, NUMBER, STRING, spelled } from './json-text.js'
import { parseRegex } from './regex.js'
import { ABOUT, bad, count, unsupported } from './schema-keywords.js'
import type { Schema } from './schema-merge.js'

/** Strings with a length, a pattern or a format. */
export function stringOf(keywords: Schema, path: string): Expression {
  const { pattern, format } = keywords
  const min = count(keywords, 'minLength', path)
  const max = count(keywords, 'maxLength', path)
  const given = ABOUT.string!.filter((keyword) => keywords[keyword] !== undefined)
  if (given.length === 0) return STRING
  if (given.length > 1 && (pattern !== undefined || format !== undefined))
    throw unsupported(given[1]!, path, ` beside "${given[0]}"`)
  const content =
    pattern !== undefined
      ? patternOf(pattern, path)
      : format !== undefined
        ? formatOf(format, path)
        : repeat(CHAR, min ?? 0, max ?? Number.POSITIVE_INFINITY)
  return sequence(literal('"'), content, literal('"'))
}

function formatOf(format: unknown, path: string): Expression {
  const pattern = typeof format === 'string' ? FORMATS.get(format) : undefined
  if (pattern === undefined) throw unsupported('format', path, ` for ${JSON.stringify(format)}`)
  return choice(...parseRegex(pattern).map(({ expression }) => expression))
}

/** A pattern may match anywhere in the text unless it is tied to its ends. */
function patternOf(pattern: unknown, path: string): Expression {
  if (typeof pattern !== 'string') throw bad(path, 'has a "pattern" that is no text')
  try {
    const anything = repeat(CHAR, 0, Number.POSITIVE_INFINITY)
    const branches = parseRegex(pattern).map(({ expression, fromStart, toEnd }) =>
      sequence(fromStart ? EMPTY : anything, mapChars(expression, spelled), toEnd ? EMPTY : anything),
    )
    return choice(...branches)
  } catch (cause) {
    if (!(cause instanceof SkipstoneError)) throw cause
    throw new SkipstoneError(cause.code, `The JSON schema's keyword "pattern" at ${path}: ${cause.message}`, { cause })
  }
}

/** Numbers, whole or not, within bounds. */
export function numberOf(type: 'number' | 'integer', keywords: Schema, path: string): Expression {
  const given = ABOUT.number!.filter((keyword) => keywords[keyword] !== undefined)
  if (given.length === 0) return type === 'integer' ? INTEGER : NUMBER
  for (const keyword of given)
    if (!Number.isFinite(keywords[keyword])) throw bad(path, `has a "${keyword}" that is no number`)
  const bounds = boundsOf(keywords as Readonly<Record<string, number | undefined>>)
  if (type === 'integer') return integersWithin(bounds)
  for (const keyword of given)
    if (!Number.isInteger(keywords[keyword]) || Math.abs(keywords[keyword] as number) >= 1e15)
      throw unsupported(keyword, path, ` for ${keywords[keyword]}: numbers with fractions need whole bounds below 1e15`)
  return numbersWithin(bounds)
}

function boundsOf(keywords: Readonly<Record<string, number | undefined>>): Bounds {
  const {
    minimum = -Infinity,
    maximum = Infinity,
    exclusiveMinimum = -Infinity,
    exclusiveMaximum = Infinity,
  } = keywords
  return {
    min: Math.max(minimum, exclusiveMinimum),
    max: Math.min(maximum, exclusiveMaximum),
    aboveMin: exclusiveMinimum >= minimum && exclusiveMinimum !== -Infinity,
    belowMax: exclusiveMaximum <= maximum && exclusiveMaximum !== Infinity,
  }
}
