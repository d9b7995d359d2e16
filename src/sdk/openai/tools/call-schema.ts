import { bad } from '../bad-request.js'

/** Keywords whose values are data: what looks like a reference there is none. */
const DATA: readonly string[] = ['const', 'enum', 'default', 'examples']
/** Keywords whose values hold schemas by names of the caller's. */
const NAMED: readonly string[] = ['properties', '$defs', 'definitions']

/**
 * The schema of a call of a function, as part `pointer` of a whole. Arguments are an object, whatever else their schema says of them.
 * @throws `bad-option` for parameters that are no schema of an object.
 */
export function callSchema(name: string, parameters: object, pointer: string): object {
  const { type = 'object' } = parameters as { type?: unknown }
  const isObject = !Array.isArray(parameters) && [type].flat().includes('object')
  if (!isObject) throw bad(`the parameters of ${name} are a JSON Schema of an object`)
  const moved = movedSchema(parameters, `${pointer}/properties/arguments`) as object
  return {
    type: 'object',
    properties: { name: { const: name }, arguments: { ...moved, type: 'object' } },
    required: ['name', 'arguments'],
    additionalProperties: false,
  }
}

/** A schema whose references to itself hold where it is a part of another, at `pointer`. */
function movedSchema(schema: unknown, pointer: string): unknown {
  if (Array.isArray(schema)) return schema.map((part) => movedSchema(part, pointer))
  if (typeof schema !== 'object' || schema === null) return schema
  return mapped(schema, (key, value) => {
    if (key === '$ref' && typeof value === 'string' && value.startsWith('#')) return pointer + value.slice(1)
    if (DATA.includes(key)) return value
    const isNamed = NAMED.includes(key) && typeof value === 'object' && value !== null
    return isNamed ? mapped(value, (_, part) => movedSchema(part, pointer)) : movedSchema(value, pointer)
  })
}

function mapped(record: object, change: (key: string, value: unknown) => unknown): object {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(key, value)]))
}
