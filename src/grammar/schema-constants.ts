import { choice, type Expression, literal, NEVER, sequence } from './expression.js'
import { enclosed, member, SPACE } from './json-text.js'
import { bad, isRecord, typesOf, unsupported } from './schema-keywords.js'
import type { Schema } from './schema-merge.js'

/** The values of `enum` and `const` that the type allows. */
export function constantsOf(keywords: Schema, path: string): Expression {
  const { enum: listed, const: fixed, type, ...rest } = keywords
  const [other] = Object.keys(rest)
  if (other !== undefined) throw unsupported(other, path, ' beside "enum" or "const"')
  if (listed !== undefined && !Array.isArray(listed)) throw bad(path, 'has an "enum" that is no list')
  const allowed = type === undefined ? undefined : typesOf({ type }, path)
  const values = (listed ?? [fixed]) as readonly unknown[]
  const spelledOut = values
    .filter((value) => allowed === undefined || allowed.some((name) => isOfType(value, name)))
    .filter((value) => fixed === undefined || JSON.stringify(value) === JSON.stringify(fixed))
  return choice(...spelledOut.map(constant))
}

/** A value, as JSON.stringify writes it but for white space. */
function constant(value: unknown): Expression {
  if (Array.isArray(value)) return joined('[', value.map(constant), ']')
  if (isRecord(value)) {
    const members = Object.entries(value).map(([key, item]) => member(literal(JSON.stringify(key)), constant(item)))
    return joined('{', members, '}')
  }
  return literal(JSON.stringify(value))
}

function isOfType(value: unknown, type: string): boolean {
  if (type === 'null') return value === null
  if (type === 'array') return Array.isArray(value)
  if (type === 'integer') return Number.isInteger(value)
  if (type === 'object') return isRecord(value)
  return typeof value === type
}

/** Brackets around fixed items. */
export function joined(open: string, items: readonly Expression[], close: string): Expression {
  if (items.length === 0) return enclosed(open, NEVER, close, true)
  const separated = items.flatMap((item, i) => (i === 0 ? [item] : [literal(','), SPACE, item]))
  return enclosed(open, sequence(...separated), close, false)
}
