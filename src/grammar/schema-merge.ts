/** A JSON schema that is no truth value, or a part of one. */
export type Schema = Readonly<Record<string, unknown>>

/** Gives the error for a keyword whose two values cannot be made one. */
type Refuse = (keyword: string) => Error

const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b)
const record = (value: unknown): Schema => (typeof value === 'object' && value !== null ? (value as Schema) : {})
const asList = (value: unknown): unknown[] => (Array.isArray(value) ? value : [value])

/**
 * The schema of what matches both, as far as that is one schema. What a keyword says of whatever no other keyword names
 * (`additionalProperties` beside `properties`, `items` beside `prefixItems`) would change its meaning when those of the other
 * schema join, so such pairs are refused.
 * @throws what `refuse` makes.
 */
export function mergeSchemas(a: Schema | false, b: Schema | false, refuse: Refuse): Schema | false {
  if (a === false || b === false) return false
  refuseOpen(a, b, refuse)
  refuseOpen(b, a, refuse)
  const merged = new Map(Object.entries(a))
  for (const [keyword, value] of Object.entries(b))
    merged.set(keyword, merged.has(keyword) ? mergeKeyword(keyword, merged.get(keyword), value, refuse) : value)
  return Object.fromEntries(merged)
}

function refuseOpen(a: Schema, b: Schema, refuse: Refuse): void {
  const closed = a.additionalProperties !== undefined && a.additionalProperties !== true
  const own = record(a.properties)
  if (closed && Object.keys(record(b.properties)).some((name) => !Object.hasOwn(own, name)))
    throw refuse('additionalProperties')
  if (
    a.prefixItems !== undefined &&
    (b.items !== undefined || b.prefixItems !== undefined) &&
    !same(a.prefixItems, b.prefixItems)
  )
    throw refuse('prefixItems')
}

function mergeKeyword(keyword: string, a: unknown, b: unknown, refuse: Refuse): unknown {
  if (same(a, b)) return a
  const isNumber = typeof a === 'number' && typeof b === 'number'
  switch (keyword) {
    case 'type':
      return commonTypes(asList(a), asList(b))
    case 'properties':
      return mergeProperties(record(a), record(b))
    case 'required':
      return [...new Set([...asList(a), ...asList(b)])]
    case 'enum':
      return asList(a).filter((value) => asList(b).some((other) => same(value, other)))
    case 'items':
    case 'additionalProperties':
      return { allOf: [a, b] }
    default:
      if (isNumber && /^(min|exclusiveMin)/.test(keyword)) return Math.max(a, b)
      if (isNumber && /^(max|exclusiveMax)/.test(keyword)) return Math.min(a, b)
      throw refuse(keyword)
  }
}

function commonTypes(a: readonly unknown[], b: readonly unknown[]): unknown[] {
  const both = (type: unknown, list: readonly unknown[]) =>
    list.includes(type) || (type === 'integer' && list.includes('number'))
  return [...new Set([...a, ...b])].filter((type) => both(type, a) && both(type, b))
}

function mergeProperties(a: Schema, b: Schema): Schema {
  const merged = new Map(Object.entries(a))
  for (const [name, schema] of Object.entries(b))
    merged.set(name, merged.has(name) ? { allOf: [merged.get(name), schema] } : schema)
  return Object.fromEntries(merged)
}
