import fc from 'fast-check'

/** A schema, and values that are valid against it, with keys in its order. */
export interface Sample {
  readonly schema: unknown
  readonly values: fc.Arbitrary<unknown>
}

const text = fc.string({
  unit: fc.constantFrom('a', 'b', '"', '\\', '\n', '\u0001', 'é', '日', '🙂', ' ', '/', '\u007f', '\u2028'),
  maxLength: 6,
})
const wholeNumber = fc.integer({ min: -1e6, max: 1e6 })
const anyNumber = fc.oneof(
  wholeNumber,
  fc.double({ noNaN: true, noDefaultInfinity: true, min: -9e307, max: 9e307 }),
  fc.maxSafeInteger(),
)
const length = (value: string) => [...value].length

// The few numbers beyond 9.99e307 are not written.
const anyJson = fc
  .jsonValue({ maxDepth: 2, stringUnit: 'grapheme' })
  .filter((value) => !JSON.stringify(value).includes('e+308'))

const leaf: fc.Arbitrary<Sample> = fc.oneof(
  fc.constant({ schema: { type: 'string', description: 'any' }, values: text }),
  fc.constant({ schema: { type: 'boolean' }, values: fc.boolean() }),
  fc.constant({ schema: { type: 'null' }, values: fc.constant(null) }),
  fc.constant({ schema: { type: 'number' }, values: anyNumber }),
  fc.constant({ schema: { type: 'integer' }, values: fc.oneof(wholeNumber, fc.maxSafeInteger()) }),
  fc.constant({
    schema: { type: ['integer', 'string', 'null'] },
    values: fc.oneof(wholeNumber, text, fc.constant(null)),
  }),
  fc.constant({ schema: {}, values: anyJson }),
  fc.constant({ schema: true, values: anyJson }),
  fc
    .array(anyJson, { minLength: 1, maxLength: 4 })
    .map((values) => ({ schema: { enum: values }, values: fc.constantFrom(...values) })),
  anyJson.map((value) => ({ schema: { const: value }, values: fc.constant(value) })),
  fc.tuple(fc.nat(4), fc.nat(4)).map(([min, more]) => ({
    schema: { type: 'string', minLength: min, maxLength: min + more },
    values: text.filter((value) => length(value) >= min && length(value) <= min + more),
  })),
  fc.tuple(fc.integer({ min: -2000, max: 2000 }), fc.nat(3000)).map(([min, more]) => ({
    schema: { type: 'integer', minimum: min, maximum: min + more },
    values: fc.integer({ min, max: min + more }),
  })),
  fc.tuple(fc.integer({ min: -12, max: 12 }), fc.integer({ min: 1, max: 30 })).map(([min, more]) => ({
    schema: { type: 'number', exclusiveMinimum: min, maximum: min + more },
    values: fc.integer({ min: 1, max: more * 8 }).map((n) => min + n / 8),
  })),
  fc.constant({ schema: { type: 'integer', exclusiveMinimum: 3.5 }, values: fc.integer({ min: 4, max: 2 ** 40 }) }),
  fc.constant({
    schema: { type: 'number', exclusiveMaximum: 0 },
    values: fc.integer({ min: 1, max: 9999 }).map((n) => -n / 16),
  }),
  fc.constant({
    schema: { type: 'string', pattern: '^[a-c"\\\\\\n]{2,4}$' },
    values: fc.string({ unit: fc.constantFrom('a', 'b', '"', '\\', '\n'), minLength: 2, maxLength: 4 }),
  }),
  fc.constant({
    schema: { type: 'string', pattern: 'é|^b' },
    values: fc.oneof(
      fc.tuple(text, text).map(([a, b]) => `${a}é${b}`),
      text.map((t) => `b${t}`),
    ),
  }),
  fc.constant({
    schema: { type: 'string', format: 'date' },
    values: fc
      .date({ min: new Date('1000-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
      .map((d) => d.toISOString().slice(0, 10)),
  }),
  fc.constant({
    schema: { type: 'string', format: 'date-time' },
    values: fc
      .date({ min: new Date('1000-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
      .map((d) => d.toISOString()),
  }),
  fc.constant({ schema: { type: 'string', format: 'uuid' }, values: fc.uuid() }),
  fc.constant({ schema: { type: 'string', format: 'ipv4' }, values: fc.ipV4() }),
  fc.constant({
    schema: { type: 'string', format: 'email' },
    values: fc.constantFrom('a@b.de', 'first.last+x@mail.example.org'),
  }),
)

const names = fc.uniqueArray(
  fc.constantFrom('a', 'ab', 'abc', 'b', 'é', 'é"', '🙂', '', 'x y', '\\', '\n', 'toString', '__proto__'),
  { maxLength: 4 },
)

/** An object of a schema's properties, in its order, those that are optional or not. */
function objectOf(
  keys: readonly string[],
  samples: readonly Sample[],
  needed: readonly boolean[],
  extra: Sample | boolean | undefined,
): Sample {
  const entries = keys.map((key, i) => [key, samples[i]!] as const)
  const required = keys.filter((_, i) => needed[i])
  const schema = {
    type: 'object',
    properties: Object.fromEntries(entries.map(([key, sample]) => [key, sample.schema])),
    ...(required.length > 0 ? { required } : {}),
    ...(extra === undefined ? {} : { additionalProperties: typeof extra === 'boolean' ? extra : extra.schema }),
  }
  const others =
    extra === undefined || extra === false
      ? fc.constant([])
      : fc.array(
          fc.tuple(
            fc
              .constantFrom('abcd', 'ac', 'q', 'éa', '🙂🙂', '"', 'tab\t', 'toStrin')
              .filter((key) => !keys.includes(key)),
            extra === true ? anyJson : extra.values,
          ),
          { maxLength: 3 },
        )
  const chosen = fc.tuple(
    ...entries.map(([key, sample], i) =>
      fc
        .tuple(needed[i] ? fc.constant(true) : fc.boolean(), sample.values)
        .map(([has, value]) => (has ? [[key, value]] : [])),
    ),
  )
  const values = fc
    .tuple(chosen, others)
    .map(([own, more]) => Object.fromEntries([...own.flat(), ...more] as [string, unknown][]))
  return { schema, values }
}

export const sample: fc.Arbitrary<Sample> = fc.letrec<{ any: Sample }>((tie) => ({
  any: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc
      .tuple(
        names,
        fc.array(tie('any'), { minLength: 4, maxLength: 4 }),
        fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
        fc.oneof(tie('any'), fc.boolean(), fc.constant(undefined)),
      )
      .map(([keys, samples, needed, extra]) => objectOf(keys, samples, needed, extra)),
    fc.tuple(tie('any'), fc.nat(2), fc.nat(3)).map(
      ([item, min, more]): Sample => ({
        schema: { type: 'array', items: item.schema, ...(min ? { minItems: min } : {}), maxItems: min + more },
        values: fc.array(item.values, { minLength: min, maxLength: min + more }),
      }),
    ),
    tie('any').map(
      (item): Sample => ({
        schema: { type: 'array', items: item.schema },
        values: fc.array(item.values, { maxLength: 3 }),
      }),
    ),
    fc.tuple(fc.array(tie('any'), { minLength: 1, maxLength: 3 }), tie('any'), fc.boolean(), fc.nat(3)).map(
      ([prefix, item, open, cut]): Sample => ({
        schema: {
          type: 'array',
          prefixItems: prefix.map((p) => p.schema),
          ...(open ? { items: item.schema } : {}),
          minItems: Math.min(cut, prefix.length),
        },
        values: fc
          .tuple(
            fc.tuple(...prefix.map((p) => p.values)),
            open ? fc.array(item.values, { maxLength: 2 }) : fc.constant([]),
            fc.nat(3),
          )
          .map(([head, tail, n]) =>
            n === 0 ? [...head, ...tail] : head.slice(0, Math.max(Math.min(cut, head.length), head.length - n)),
          ),
      }),
    ),
    fc
      .tuple(tie('any'), tie('any'), fc.constantFrom('anyOf', 'oneOf'))
      .map(
        ([a, b, key]): Sample => ({ schema: { [key]: [a.schema, b.schema] }, values: fc.oneof(a.values, b.values) }),
      ),
    fc.tuple(tie('any'), tie('any'), fc.boolean()).map(([a, b, first]): Sample => {
      const [one, two] = [
        objectOf(['p', 'q'], [a, b], [first, !first], undefined),
        objectOf(['r'], [a], [true], undefined),
      ]
      return {
        schema: { type: 'object', allOf: [one.schema, two.schema] },
        values: fc.tuple(one.values, two.values).map(([x, y]) => ({ ...(x as object), ...(y as object) })),
      }
    }),
    tie('any').map(
      (item): Sample => ({
        schema: {
          ...(objectOf(['k'], [item], [true], undefined).schema as object),
          anyOf: [{ required: ['k'] }, { properties: { z: false } }],
        },
        values: item.values.map((k) => ({ k })),
      }),
    ),
  ),
})).any

/** A schema at the top must not be free, which means an object there. */
export const topSample = sample.map(
  ({ schema, values }): Sample => ({
    schema: {
      type: 'object',
      properties: { v: schema, 'next/~': { $ref: '#' }, d: { $ref: '#/$defs/a~1b' } },
      required: ['v'],
      $defs: { 'a/b': { type: 'array', items: { $ref: '#/$defs/a~1b' } } },
    },
    values: fc
      .tuple(values, values, fc.nat(3))
      .map(([v, w, n]) =>
        n === 0 ? { v } : n === 1 ? { v, 'next/~': { v: w } } : { v, d: [[], [[]]].slice(0, n - 1) },
      ),
  }),
)
