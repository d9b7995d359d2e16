import { SkipstoneError } from '../errors.js'
import { choice, type Expression, literal, NEVER, rule } from './expression.js'
import { Grammar } from './grammar.js'
import { jsonRules, VALUE } from './json-text.js'
import { constantsOf } from './schema-constants.js'
import { arrayOf, objectOf, type SchemaParts } from './schema-containers.js'
import { bad, below, isFree, keywordsOf, schemaList, typesOf, unsupported } from './schema-keywords.js'
import { numberOf, stringOf } from './schema-leaves.js'
import { mergeSchemas, type Schema } from './schema-merge.js'

/**
 * The grammar of the JSON texts that are valid against a schema. Every text of the grammar is valid; of the valid ones it
 * leaves out what nobody needs: other orders of keys than the schema's, needless escapes in keys and constants, more white
 * space than a space or an indented line break, numbers that JavaScript would not write.
 *
 * Supported: `type` (one or a list), `enum`, `const`, `properties`, `required`, `additionalProperties`, `items`,
 * `prefixItems`, `minItems`, `maxItems`, `minLength`, `maxLength`, `pattern` (see `regexGrammar`), `format` (date, time,
 * date-time, uuid, ipv4, email), `minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum` (of numbers that may have
 * fractions only where the bounds are whole), `anyOf`, `oneOf` (as `anyOf`), `allOf` (merged), `$ref` into the same schema,
 * recursive ones included. Annotations are ignored; anything else is refused.
 *
 * Where a schema lists `properties` without `additionalProperties`, or `prefixItems` without `items`, no others are written.
 * Without `type`, the types that its keywords are about. At the top, a schema that says nothing means an object.
 * @throws SkipstoneError `unsupported`, naming keyword and place, for what cannot be obeyed; `bad-option` for what is no
 *   JSON schema, and for one that nothing is valid against.
 */
export function fromJsonSchema(schema: unknown): Grammar {
  return new SchemaReader(asJson(schema)).grammar()
}

/** Any JSON object. */
export function jsonGrammar(): Grammar {
  return Grammar.of(jsonRules(), 'json object')
}

/** How deep a schema may be nested: it is read by recursion. */
const MAX_DEPTH = 64
/** How many schemas may be read in all; merging may multiply them. */
const MAX_SCHEMAS = 20_000

const MERGED = ' where schemas have to be merged ("allOf", or keywords beside "$ref", "anyOf", "oneOf")'

/** A copy that is JSON for certain: no cycles, nothing that changes when it is read again. */
function asJson(schema: unknown): unknown {
  try {
    return JSON.parse(JSON.stringify(schema)) as unknown
  } catch (cause) {
    throw new SkipstoneError('bad-option', `The JSON schema is no JSON (${String(cause)}).`, { cause })
  }
}

class SchemaReader implements SchemaParts {
  readonly #root: unknown
  readonly #rules = jsonRules()
  /** References whose schemas are still to be read: not by recursion, for chains of them may be long. */
  readonly #pending: { name: string; schema: unknown; path: string }[] = []
  #depth = 0
  #count = 0

  constructor(root: unknown) {
    this.#root = root
  }

  grammar(): Grammar {
    if (isFree(this.#root)) return jsonGrammar()
    const start = this.#reference('#', '#')
    for (let next = this.#pending.pop(); next; next = this.#pending.pop())
      this.#rules.set(next.name, this.read(next.schema, next.path))
    return Grammar.of(this.#rules, start)
  }

  /** The rule of a reference. */
  #reference(ref: unknown, path: string): string {
    const schema = this.#target(ref, path)
    const name = String(ref)
    if (!this.#rules.has(name)) {
      this.#rules.set(name, NEVER)
      this.#pending.push({ name, schema, path: name })
    }
    return name
  }

  #target(ref: unknown, path: string): unknown {
    if (typeof ref !== 'string') throw bad(path, 'has a "$ref" that is no text')
    if (ref !== '#' && !ref.startsWith('#/')) throw unsupported('$ref', path, ` for "${ref}": only "#" and "#/…" are`)
    let target = this.#root
    for (const step of ref.split('/').slice(1)) {
      const key = decoded(step).replaceAll('~1', '/').replaceAll('~0', '~')
      if (typeof target !== 'object' || target === null || !Object.hasOwn(target, key))
        throw bad(path, `refers to "${ref}", which is not there`)
      target = (target as Schema)[key]
    }
    return target
  }

  /** Counts and bounds the recursion: merging resolves references, and a schema may refer to itself. */
  #within<T>(path: string, read: () => T): T {
    if (++this.#depth > MAX_DEPTH || ++this.#count > MAX_SCHEMAS)
      throw new SkipstoneError(
        'unsupported',
        `The JSON schema is too large or nested too deep, at ${path.slice(0, 200)}; use "$ref" for what recurs.`,
      )
    const result = read()
    this.#depth--
    return result
  }

  read(schema: unknown, path: string): Expression {
    return this.#within(path, () => {
      if (schema === true) return VALUE
      if (schema === false) return NEVER
      const keywords = keywordsOf(schema, path)
      const { $ref, ...rest } = keywords
      if ($ref !== undefined && Object.keys(rest).length === 0) return rule(this.#reference($ref, path))
      if ($ref !== undefined || keywords.allOf !== undefined) return this.read(this.#flat(keywords, path), path)
      for (const keyword of ['anyOf', 'oneOf'])
        if (keywords[keyword] !== undefined) return this.#alternatives(keyword, keywords, path)
      if (keywords.enum !== undefined || keywords.const !== undefined) return constantsOf(keywords, path)
      return choice(...typesOf(keywords, path).map((type) => this.#typed(type, keywords, path)))
    })
  }

  /** The same without `$ref` and `allOf`. */
  #flat(schema: unknown, path: string): Schema | false {
    return this.#within(path, () => {
      if (schema === false) return false
      const { $ref, allOf, ...rest } = schema === true ? ({} as Schema) : keywordsOf(schema, path)
      const parts: (Schema | false)[] = []
      if ($ref !== undefined) parts.push(this.#flat(this.#target($ref, path), String($ref)))
      parts.push(rest)
      if (allOf !== undefined)
        parts.push(...schemaList(allOf, 'allOf', path).map((part, i) => this.#flat(part, below(path, 'allOf', i))))
      return parts.reduce((a, b) => mergeSchemas(a, b, (keyword) => unsupported(keyword, path, MERGED)))
    })
  }

  #alternatives(keyword: string, keywords: Schema, path: string): Expression {
    const { [keyword]: given, ...rest } = keywords
    const items = schemaList(given, keyword, path).map((item, i) => {
      const at = below(path, keyword, i)
      if (Object.keys(rest).length === 0) return this.read(item, at)
      const merged = mergeSchemas(rest, this.#flat(item, at), (conflict) => unsupported(conflict, at, MERGED))
      return this.read(merged, at)
    })
    return choice(...items)
  }

  #typed(type: string, keywords: Schema, path: string): Expression {
    switch (type) {
      case 'null':
        return literal('null')
      case 'boolean':
        return choice(literal('true'), literal('false'))
      case 'string':
        return stringOf(keywords, path)
      case 'number':
      case 'integer':
        return numberOf(type, keywords, path)
      case 'array':
        return arrayOf(keywords, path, this)
      default:
        return objectOf(keywords, path, this)
    }
  }

  rule(name: string, body: Expression): Expression {
    const unique = `${name} (${this.#rules.size})`
    this.#rules.set(unique, body)
    return rule(unique)
  }
}

function decoded(step: string): string {
  try {
    return decodeURIComponent(step)
  } catch {
    return step
  }
}
