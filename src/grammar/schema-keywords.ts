import { SkipstoneError } from '../errors.js'
import type { Schema } from './schema-merge.js'

const ANNOTATIONS = new Set(
  'title description default examples example $schema $id $comment $anchor $defs definitions deprecated readOnly writeOnly nullable'.split(
    ' ',
  ),
)

/** By type: the keywords that say something about its values. */
export const ABOUT: Readonly<Record<string, readonly string[]>> = {
  object: ['properties', 'required', 'additionalProperties'],
  array: ['items', 'prefixItems', 'minItems', 'maxItems'],
  string: ['pattern', 'format', 'minLength', 'maxLength'],
  number: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'],
}
const KNOWN = new Set(['$ref', 'allOf', 'anyOf', 'oneOf', 'enum', 'const', 'type', ...Object.values(ABOUT).flat()])

/** Keywords that say nothing with this value. */
const HARMLESS: Readonly<Record<string, unknown>> = { uniqueItems: false, minProperties: 0 }

export function isRecord(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function bad(path: string, problem: string): SkipstoneError {
  return new SkipstoneError('bad-option', `The JSON schema at ${path} ${problem}.`)
}

export function unsupported(keyword: string, path: string, detail = ''): SkipstoneError {
  return new SkipstoneError(
    'unsupported',
    `The JSON schema's keyword "${keyword}" at ${path} is not supported${detail}; leave it out and check the result yourself.`,
  )
}

/** The place of a part, as a JSON pointer. */
export function below(path: string, ...steps: (string | number)[]): string {
  return [path, ...steps.map((step) => String(step).replaceAll('~', '~0').replaceAll('/', '~1'))].join('/')
}

/** A schema's keywords without annotations. */
export function keywordsOf(schema: unknown, path: string): Schema {
  if (!isRecord(schema)) throw bad(path, 'is neither an object nor true or false')
  const said = Object.entries(schema).filter(([key, value]) => {
    if (ANNOTATIONS.has(key) || key.startsWith('x-') || value === undefined) return false
    if (Object.hasOwn(HARMLESS, key) && HARMLESS[key] === value) return false
    if (!KNOWN.has(key)) throw unsupported(key, path)
    return true
  })
  return Object.fromEntries(said)
}

export function isFree(schema: unknown): boolean {
  return schema === true || (isRecord(schema) && Object.keys(schema).every((key) => ANNOTATIONS.has(key)))
}

export function schemaList(value: unknown, keyword: string, path: string): readonly unknown[] {
  if (!Array.isArray(value) || value.length === 0) throw bad(path, `has "${keyword}" that is no list of schemas`)
  return value
}

const TYPES = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null']

/** The types that a schema names, or those that its keywords are about, or all. */
export function typesOf(keywords: Schema, path: string): readonly string[] {
  const { type } = keywords
  if (type !== undefined) {
    const named: unknown[] = Array.isArray(type) ? type : [type]
    for (const name of named)
      if (typeof name !== 'string' || !TYPES.includes(name))
        throw bad(path, `has an unknown type, ${JSON.stringify(name)}`)
    return named as string[]
  }
  const meant = Object.keys(ABOUT).filter((name) => ABOUT[name]!.some((keyword) => keywords[keyword] !== undefined))
  // Every integer is a number.
  return meant.length > 0 ? meant : TYPES.filter((name) => name !== 'integer')
}

export function count(keywords: Schema, keyword: string, path: string): number | undefined {
  const value = keywords[keyword]
  if (value === undefined || (Number.isSafeInteger(value) && (value as number) >= 0)) return value as number | undefined
  throw bad(path, `has a "${keyword}" that is no count`)
}
