import { choice, type Expression, literal, NEVER, optional, repeat, sequence } from './expression.js'
import { keysExcept } from './json-keys.js'
import { ARRAY, enclosed, list, member, OBJECT, SPACE, STRING, VALUE } from './json-text.js'
import { joined } from './schema-constants.js'
import { bad, below, count, isRecord, schemaList, unsupported } from './schema-keywords.js'
import type { Schema } from './schema-merge.js'

/** What arrays and objects need of the reader of the whole schema. */
export interface SchemaParts {
  /** The expression of a schema inside. */
  read(schema: unknown, path: string): Expression
  /** Gives an expression a rule of its own, so that it is compiled once however often it is used. */
  rule(name: string, body: Expression): Expression
}

/** Arrays: what stands first by `prefixItems`, then `items`. */
export function arrayOf(keywords: Schema, path: string, reader: SchemaParts): Expression {
  const { items, prefixItems } = keywords
  if (Array.isArray(items)) throw unsupported('items', path, ' as a list: that is "prefixItems" now')
  const prefix = prefixItems === undefined ? [] : schemaList(prefixItems, 'prefixItems', path)
  const min = count(keywords, 'minItems', path) ?? 0
  const open = prefix.length === 0 || items !== undefined
  const max = Math.min(
    count(keywords, 'maxItems', path) ?? Number.POSITIVE_INFINITY,
    open ? Number.POSITIVE_INFINITY : prefix.length,
  )
  if (max < min) return NEVER
  if (prefix.length === 0 && items === undefined && min === 0 && max === Number.POSITIVE_INFINITY) return ARRAY
  if (max === 0) return joined('[', [], ']')

  const item = items === undefined ? VALUE : reader.read(items, below(path, 'items'))
  if (prefix.length === 0) return enclosed('[', list(item, Math.max(min, 1), max), ']', min === 0)
  const itemsRule = reader.rule(below(path, 'items'), item)
  const more = sequence(literal(','), SPACE, itemsRule)
  let rest = repeat(more, Math.max(min - prefix.length, 0), Math.max(max - prefix.length, 0))
  for (let i = Math.min(prefix.length, max) - 1; i >= 0; i--) {
    const own = reader.read(prefix[i], below(path, 'prefixItems', i))
    const onward = sequence(...(i === 0 ? [] : [literal(','), SPACE]), own, rest)
    rest = reader.rule(below(path, 'prefixItems', i), i > 0 && i >= min ? optional(onward) : onward)
  }
  return enclosed('[', rest, ']', min === 0)
}

/** Objects: properties in their order, then others. */
export function objectOf(keywords: Schema, path: string, reader: SchemaParts): Expression {
  const { properties = {}, required = [], additionalProperties } = keywords
  if (!isRecord(properties)) throw bad(path, 'has "properties" that are no object')
  if (!Array.isArray(required) || !required.every((name) => typeof name === 'string'))
    throw bad(path, 'has a "required" that is no list of names')
  const additional = additionalProperties ?? keywords.properties === undefined
  const extra = additional === false ? undefined : additional
  const others = required
    .filter((name) => !Object.hasOwn(properties, name))
    .map((name): [string, unknown] => [name, extra ?? additionalProperties === undefined])
  const all = [...Object.entries(properties), ...new Map(others)]
  if (all.length === 0 && extra === true) return OBJECT

  const names = all.map(([name]) => name)
  const mayFollow = extra === undefined ? NEVER : otherProperty(names, extra, path, reader)
  const entry = ([name, schema]: readonly [string, unknown]) =>
    member(literal(JSON.stringify(name)), reader.read(schema, below(path, 'properties', name)))
  const comma = sequence(literal(','), SPACE)
  // From the last property to the first: what may follow when something was written before it, and when nothing was.
  let after = repeat(sequence(comma, mayFollow), 0, Number.POSITIVE_INFINITY)
  let first: Expression = sequence(mayFollow, after)
  for (const [i, property] of [...all.entries()].reverse()) {
    const needed = required.includes(property[0])
    const own = reader.rule(`${path} property ${i}`, entry(property))
    const begin = sequence(own, after)
    first = reader.rule(`${path} from ${i}`, needed ? begin : choice(begin, first))
    const next = sequence(comma, own)
    after = reader.rule(`${path} after ${i}`, sequence(needed ? next : optional(next), after))
  }
  return enclosed('{', first, '}', required.length === 0)
}

/** A property that the schema does not name. */
function otherProperty(names: readonly string[], schema: unknown, path: string, reader: SchemaParts): Expression {
  const value = reader.read(schema, below(path, 'additionalProperties'))
  const key = names.length === 0 ? STRING : keysExcept(names, (body) => reader.rule(`${path} other key`, body))
  return reader.rule(`${path} other`, member(key, value))
}
