/** What JSON Schema says of a value, read off the standard and written without a look at the code under test. */
type Keywords = Record<string, unknown>

const kindOf = (value: unknown): string => (value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value)

function resolve(root: unknown, ref: string): unknown {
  return ref
    .split('/')
    .slice(1)
    .reduce((at, step) => (at as Keywords)[step.replaceAll('~1', '/').replaceAll('~0', '~')], root)
}

const FORMAT_CHECKS: Record<string, (text: string) => boolean> = {
  date: (t) => /^\d{4}-\d\d-\d\d$/.test(t) && new Date(`${t}T00:00:00Z`).toISOString().startsWith(t),
  time: (t) => !Number.isNaN(Date.parse(`2024-01-01T${t.replace(/\.\d+/, '')}`)),
  'date-time': (t) => FORMAT_CHECKS.date!(t.slice(0, 10)) && t[10] === 'T' && FORMAT_CHECKS.time!(t.slice(11)),
  uuid: (t) => /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(t),
  ipv4: (t) =>
    t.split('.').length === 4 && t.split('.').every((part) => String(Number(part)) === part && Number(part) < 256),
  email: (t) => /^[^@\s]+@[^@\s]+\.[^@\s]+$/.test(t),
}

export function isValid(schema: unknown, value: unknown, root: unknown = schema): boolean {
  if (typeof schema === 'boolean') return schema
  const s = schema as Keywords
  const number = (key: string) => s[key] as number
  const valid = (sub: unknown, v: unknown) => isValid(sub, v, root)
  const kind = kindOf(value)
  const equal = (a: unknown) => JSON.stringify(a) === JSON.stringify(value)

  if (s.$ref !== undefined && !valid(resolve(root, s.$ref as string), value)) return false
  if (s.type !== undefined) {
    const fits = [s.type].flat().some((t) => t === kind || (t === 'integer' && Number.isInteger(value)))
    if (!fits) return false
  }
  if (s.enum !== undefined && !(s.enum as unknown[]).some(equal)) return false
  if (s.const !== undefined && !equal(s.const)) return false
  if (s.anyOf !== undefined && !(s.anyOf as unknown[]).some((sub) => valid(sub, value))) return false
  if (s.oneOf !== undefined && !(s.oneOf as unknown[]).some((sub) => valid(sub, value))) return false
  if (s.allOf !== undefined && !(s.allOf as unknown[]).every((sub) => valid(sub, value))) return false
  if (kind === 'number') {
    const v = value as number
    if (!Number.isFinite(v)) return false
    if (s.minimum !== undefined && !(v >= number('minimum'))) return false
    if (s.maximum !== undefined && !(v <= number('maximum'))) return false
    if (s.exclusiveMinimum !== undefined && !(v > number('exclusiveMinimum'))) return false
    if (s.exclusiveMaximum !== undefined && !(v < number('exclusiveMaximum'))) return false
  }
  if (kind === 'string') {
    const v = value as string
    const length = [...v].length
    if (/[\ud800-\udfff]/u.test(v)) return false
    if (s.minLength !== undefined && length < number('minLength')) return false
    if (s.maxLength !== undefined && length > number('maxLength')) return false
    if (s.pattern !== undefined && !new RegExp(s.pattern as string, 'u').test(v)) return false
    if (s.format !== undefined && !FORMAT_CHECKS[s.format as string]!(v)) return false
  }
  if (kind === 'array') {
    const v = value as unknown[]
    const prefix = (s.prefixItems ?? []) as unknown[]
    if (s.minItems !== undefined && v.length < number('minItems')) return false
    if (s.maxItems !== undefined && v.length > number('maxItems')) return false
    if (!v.every((item, i) => valid(prefix[i] ?? s.items ?? true, item))) return false
  }
  if (kind === 'object') {
    const v = value as Keywords
    const properties = (s.properties ?? {}) as Keywords
    if (!((s.required ?? []) as string[]).every((name) => Object.hasOwn(v, name))) return false
    for (const [name, item] of Object.entries(v)) {
      const own = Object.hasOwn(properties, name) ? properties[name] : (s.additionalProperties ?? true)
      if (!valid(own, item)) return false
    }
  }
  return true
}
