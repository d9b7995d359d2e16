import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SkipstoneError } from '../../src/errors.js'
import { createConstraint } from '../../src/grammar/constraint.js'
import type { Grammar } from '../../src/grammar/grammar.js'
import { fromJsonSchema, jsonGrammar } from '../../src/grammar/json-schema.js'
import type { Vocabulary } from '../../src/grammar/vocabulary.js'
import { Prng } from '../fixtures/prng.js'
import { topSample } from './schemas.js'
import { allowed, bitOf, matches, vocabularyOf } from './texts.js'
import { isValid } from './validator.js'

const PIECES = [
  '{"',
  '":',
  '": ',
  '",',
  '", "',
  '"}',
  '"},',
  '}}',
  '[{',
  '[[',
  '}]',
  '],',
  ']]',
  ',"',
  ', ',
  '{}',
  '[]',
  '""',
  'true',
  'null',
  ' "',
  '\n  ',
  '\n',
  'a',
  'ab',
  'v',
  '"v":',
  'name',
  '12',
  '-1',
  '0.',
  '.5',
  'e+',
  '1e3',
  '\\n',
  '\\"',
  '\\u00',
  'é',
  '🙂',
  '日本',
  '2024-',
  Uint8Array.of(0xf0, 0x9f),
  Uint8Array.of(0x99, 0x82, 0x22),
  undefined,
]
const VOCABULARY = vocabularyOf(PIECES)
/** What ends strings, objects and arrays. */
const CLOSING = ['"', '}', ']', '"}', '}}', '}]', ']]', '""']
  .map((text) => PIECES.indexOf(text))
  .filter((id) => id >= 0)
  .concat([0x22, 0x5d, 0x7d].map((byte) => PIECES.length + byte))

/** The text of a random walk under the mask, undefined where it did not come to an end. */
function walk(grammar: Grammar, vocabulary: Vocabulary, random: Prng, patience: number): string | undefined {
  const constraint = createConstraint(grammar, vocabulary)
  const bytes: number[] = []
  for (let step = 0; step < 12 * patience; step++) {
    const mask = constraint.mask()
    const may = allowed(mask, vocabulary.size)
    const closing = [...vocabulary.stopIds, ...CLOSING].filter((id) => bitOf(mask, id))
    const from = step > patience && closing.length > 0 && random.below(4) > 0 ? closing : may
    const id = from[random.below(from.length)]!
    constraint.accept(id)
    if (vocabulary.stopIds.includes(id))
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes))
    bytes.push(...vocabulary.bytes(id)!)
  }
  return undefined
}

/** As Python writes it. */
function spaced(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(spaced).join(', ')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  return `{${Object.entries(value)
    .map(([key, item]) => `${JSON.stringify(key)}: ${spaced(item)}`)
    .join(', ')}}`
}

const accepts = (schema: unknown, value: unknown) => matches(fromJsonSchema(schema), JSON.stringify(value))

describe('fromJsonSchema', () => {
  it('accepts valid values, compact and indented, in any cut', () => {
    let values = 0
    fc.assert(
      fc.property(
        topSample.chain((s) => fc.tuple(fc.constant(s.schema), fc.array(s.values, { minLength: 3, maxLength: 3 }))),
        fc.infiniteStream(fc.integer({ min: 1, max: 9 })),
        ([schema, all], widths) => {
          const grammar = fromJsonSchema(schema)
          for (const value of all) {
            if (!isValid(schema, value)) throw new Error('the sample is wrong')
            const texts = [
              JSON.stringify(value),
              JSON.stringify(value, null, 2),
              JSON.stringify(value, null, '\t'),
              spaced(value),
            ]
            for (const text of texts) expect(matches(grammar, text) ? '' : text).toBe('')
            expect(matches(grammar, texts[0]!.slice(0, -1))).toBe(false)
            values++

            const bytes = new TextEncoder().encode(texts[3]!)
            const pieces: Uint8Array[] = []
            for (let at = 0; at < bytes.length; at += pieces.at(-1)!.length)
              pieces.push(bytes.slice(at, at + widths.next().value))
            const vocabulary = vocabularyOf(pieces)
            const constraint = createConstraint(grammar, vocabulary)
            pieces.forEach((_, id) => {
              constraint.accept(id)
            })
            expect(bitOf(constraint.mask(), vocabulary.stopIds[0])).toBe(true)
          }
        },
      ),
      { numRuns: 200 },
    )
    expect(values).toBe(600)
  })

  it('lets models write nothing but valid JSON', () => {
    let ended = 0
    fc.assert(
      fc.property(topSample, fc.nat(), ({ schema }, seed) => {
        const text = walk(fromJsonSchema(schema), VOCABULARY, new Prng(seed), 40)
        if (text === undefined) return
        ended++
        if (!isValid(schema, JSON.parse(text)))
          throw new Error(`${text} is not valid against ${JSON.stringify(schema)}`)
      }),
      { numRuns: 400 },
    )
    expect(ended).toBeGreaterThan(320)
  })

  it('lets models write any JSON object where nothing is asked for', () => {
    const random = new Prng(7)
    for (const grammar of [jsonGrammar(), fromJsonSchema({}), fromJsonSchema(true), fromJsonSchema({ title: 'x' })]) {
      for (const text of ['{}', '{"a": [1, {"b": null}], "é": "🙂\\ud83d\\ude42"}', '{ }', '{\n  "a": -1.5e-7\n}'])
        expect(matches(grammar, text)).toBe(true)
      for (const text of [
        '',
        '[]',
        '1',
        ' {}',
        '{}\n',
        '{"a":1,}',
        '{"a":01}',
        '{"a":"\\ud83d"}',
        '{"a" :1}',
        '{,}',
        '{"a":1e999}',
        `{${' '.repeat(99)}}`,
      ])
        expect(matches(grammar, text)).toBe(false)
      let ended = 0
      for (let i = 0; i < 30; i++) {
        const text = walk(grammar, VOCABULARY, random, 30)
        if (text === undefined) continue
        expect(isValid({ type: 'object' }, JSON.parse(text))).toBe(true)
        ended++
      }
      expect(ended).toBeGreaterThan(20)
    }
  })

  it('keeps to counts, bounds and lengths at their edges', () => {
    for (const [min, max] of [
      [0, 0],
      [0, 9],
      [7, 105],
      [-5, 5],
      [-120, -3],
      [99, 1001],
      [-1, 0],
      [1234, 1234],
      [9, 10],
    ] as const)
      for (let n = min - 15; n <= max + 15; n++) {
        const inside = n >= min && n <= max
        expect([n, accepts({ type: 'integer', minimum: min, maximum: max }, n)]).toEqual([n, inside])
        expect(accepts({ type: 'integer', exclusiveMinimum: min - 1, exclusiveMaximum: max + 1 }, n)).toBe(inside)
        if (n % 3) continue
        for (const part of [0, 0.5, -0.25])
          expect([n + part, accepts({ type: 'number', minimum: min, maximum: max }, n + part)]).toEqual([
            n + part,
            n + part >= min && n + part <= max,
          ])
      }
    const digits = (schema: object, text: string) => matches(fromJsonSchema({ type: 'number', ...schema }), text)
    expect(digits({ exclusiveMaximum: 5 }, '4.99999999999999')).toBe(true)
    expect(digits({ exclusiveMaximum: 5 }, '4.9999999999999999')).toBe(false)
    expect(digits({ exclusiveMinimum: 5 }, '5.0')).toBe(false)
    expect(digits({ exclusiveMinimum: 5 }, '5.01')).toBe(true)
    expect(digits({ maximum: 5 }, '5.000')).toBe(true)
    for (let n = 0; n <= 5; n++) {
      expect(accepts({ type: 'array', minItems: 2, maxItems: 4 }, Array(n).fill(1))).toBe(n >= 2 && n <= 4)
      expect(accepts({ type: 'string', minLength: 2, maxLength: 4 }, '🙂'.repeat(n))).toBe(n >= 2 && n <= 4)
      expect(matches(fromJsonSchema({ minLength: 2, maxLength: 4 }), `"${'\\ud83d\\ude42'.repeat(n)}"`)).toBe(
        n >= 2 && n <= 4,
      )
    }
  })

  it('knows the calendar', () => {
    const date = (text: string) => accepts({ type: 'string', format: 'date' }, text)
    const invalid: string[] = []
    for (const year of ['1900', '2000', '2023', '2024', '2100'])
      for (let month = 0; month <= 13; month++)
        for (let day = 0; day <= 32; day++) {
          const text = `${year}-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}`
          const time = new Date(`${text}T00:00:00Z`)
          const exists = !Number.isNaN(time.getTime()) && time.toISOString().startsWith(text)
          if (date(text) !== exists) invalid.push(text)
        }
    expect(invalid).toEqual([])
  })

  it('never writes a named key as another one', () => {
    const schema = {
      type: 'object',
      properties: { ab: { type: 'null' }, 'é"': { type: 'null' } },
      additionalProperties: { type: 'integer' },
    }
    for (const key of ['"ab"', '"\\u0061b"', '"a\\u0062"', '"é\\""', '"\\u00e9\\""'])
      expect([key, matches(fromJsonSchema(schema), `{${key}:1}`)]).toEqual([key, false])
    for (const key of ['"a"', '"abc"', '"b"', '""', '"é"', '"\\n"', '"ab\\u0063"'])
      expect([key, matches(fromJsonSchema(schema), `{${key}:1}`)]).toEqual([key, key !== '"ab\\u0063"' || false])
  })

  it.each([
    [{ type: 'object', properties: { a: { multipleOf: 2 } } }, 'multipleOf', '#/properties/a'],
    [{ not: {} }, 'not', '#'],
    [{ if: {} }, 'if', '#'],
    [{ type: 'array', items: { patternProperties: {} } }, 'patternProperties', '#/items'],
    [{ propertyNames: {} }, 'propertyNames', '#'],
    [{ minProperties: 1 }, 'minProperties', '#'],
    [{ maxProperties: 1 }, 'maxProperties', '#'],
    [{ uniqueItems: true }, 'uniqueItems', '#'],
    [{ contains: {} }, 'contains', '#'],
    [{ dependentRequired: {} }, 'dependentRequired', '#'],
    [{ unevaluatedProperties: false }, 'unevaluatedProperties', '#'],
    [{ minLenght: 3 }, 'minLenght', '#'],
    [{ items: [{}] }, 'items', '#'],
    [{ $dynamicRef: '#a' }, '\\$dynamicRef', '#'],
    [{ $ref: 'https://example.org/schema' }, '\\$ref', '#'],
    [{ $ref: '#anchor' }, '\\$ref', '#'],
    [{ type: 'string', format: 'hostname' }, 'format', '#'],
    [{ type: 'string', pattern: '(?=a)' }, 'pattern', '#'],
    [{ type: 'string', pattern: 'a', minLength: 2 }, 'minLength', '#'],
    [{ type: 'string', format: 'date', maxLength: 2 }, 'maxLength', '#'],
    [{ type: 'number', minimum: 0.5 }, 'minimum', '#'],
    [{ enum: [1], minimum: 0 }, 'minimum', '#'],
    [
      { allOf: [{ properties: { a: {} }, additionalProperties: false }, { properties: { b: {} } }] },
      'additionalProperties',
      '#',
    ],
    [{ allOf: [{ prefixItems: [{}] }, { items: { type: 'null' } }] }, 'prefixItems', '#'],
    [{ allOf: [{ pattern: 'a' }, { pattern: 'b' }] }, 'pattern', '#'],
    [{ allOf: [{ anyOf: [{}] }, { anyOf: [true] }] }, 'anyOf', '#'],
  ])('refuses %j by name', (schema, keyword, path) => {
    const read = () => fromJsonSchema(schema)
    expect(read).toThrow(expect.objectContaining({ code: 'unsupported' }))
    expect(read).toThrow(new RegExp(`"${keyword}" at ${path.replaceAll('/', '\\/')}[ :]`))
  })

  it.each([
    [null],
    [1],
    ['{}'],
    [[]],
    [{ type: 'text' }],
    [{ type: [] }],
    [{ properties: [] }],
    [{ required: 'a' }],
    [{ required: [1] }],
    [{ minItems: -1 }],
    [{ maxLength: 1.5 }],
    [{ anyOf: [] }],
    [{ anyOf: {} }],
    [{ enum: 1 }],
    [{ enum: [] }],
    [{ enum: [1n] }],
    [undefined],
    [{ pattern: '(' }],
    [{ pattern: 1 }],
    [{ minimum: '1' }],
    [{ $ref: '#/nothing' }],
    [{ $ref: 1 }],
    [{ $ref: '#/%' }],
    [false],
    [{ type: 'string', minLength: 3, maxLength: 2 }],
    [{ type: 'integer', minimum: 3, maximum: 2 }],
    [{ minItems: 3, maxItems: 2 }],
    [{ properties: {}, additionalProperties: false, required: ['a'] }],
    [{ properties: { a: false }, required: ['a'] }],
    [{ allOf: [{ type: 'string' }, { type: 'null' }] }],
    [{ properties: { a: 3 } }],
    [{ type: 'string', enum: [1] }],
    [{ items: 1 }],
  ])('finds nothing valid, or no schema, in %o', (schema) => {
    expect(() => fromJsonSchema(schema)).toThrow(expect.objectContaining({ code: 'bad-option' }))
  })

  it('refuses what has no end', () => {
    const endless: Record<string, unknown> = { type: 'array' }
    endless.items = endless
    expect(() => fromJsonSchema(endless)).toThrow(expect.objectContaining({ code: 'bad-option' }))
    expect(() => fromJsonSchema(JSON.parse(`${'{"items":'.repeat(9999)}{}${'}'.repeat(9999)}`))).toThrow(SkipstoneError)
    const deep = JSON.parse(`${'{"items":'.repeat(500)}{}${'}'.repeat(500)}`) as unknown
    const doubling = {
      $ref: '#/$defs/d0',
      $defs: Object.fromEntries(
        Array.from({ length: 40 }, (_, i) => [
          `d${i}`,
          { allOf: [{ $ref: `#/$defs/d${i + 1}` }, { $ref: `#/$defs/d${i + 1}` }] },
        ]),
      ),
    }
    for (const schema of [
      deep,
      doubling,
      { anyOf: [{ $ref: '#' }, { type: 'null' }] },
      { $ref: '#', minimum: 1 },
      { maxLength: 1e6 },
      { maxItems: 1e9 },
    ])
      expect(() => fromJsonSchema(schema)).toThrow(expect.objectContaining({ code: 'unsupported' }))
    expect(() => fromJsonSchema({ $ref: '#' })).toThrow(/No text matches/)
    // An object that must contain itself has no finite text.
    expect(() => fromJsonSchema({ properties: { a: { $ref: '#' } }, required: ['a'] })).toThrow(/No text matches/)
  })

  it('takes long chains and wide objects', () => {
    const chain = Object.fromEntries(
      Array.from({ length: 3000 }, (_, i) => [`d${i}`, i === 2999 ? { type: 'null' } : { $ref: `#/$defs/d${i + 1}` }]),
    )
    expect(matches(fromJsonSchema({ $ref: '#/$defs/d0', $defs: chain }), 'null')).toBe(true)
    const wide = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`p${i}`, { type: 'integer' }]))
    expect(matches(fromJsonSchema({ properties: wide }), '{"p7":1,"p500":2,"p999":3}')).toBe(true)
    expect(matches(fromJsonSchema({ properties: wide }), '{"p7":1,"p6":2}')).toBe(false)
    expect(accepts({ enum: Array.from({ length: 2000 }, (_, i) => `value ${i}`) }, 'value 1999')).toBe(true)
    expect(accepts({ maxLength: 20_000 }, 'x'.repeat(20_000))).toBe(true)
  })

  it('gives typed errors for any schema', () => {
    const keyword = fc.constantFrom(
      'type',
      'properties',
      'required',
      'items',
      'prefixItems',
      'minItems',
      'maxItems',
      'minLength',
      'maxLength',
      'pattern',
      'format',
      'minimum',
      'exclusiveMaximum',
      'anyOf',
      'allOf',
      'oneOf',
      '$ref',
      'enum',
      'const',
      'additionalProperties',
      'title',
      '$defs',
    )
    const schema = fc.letrec<{ any: unknown }>((tie) => ({
      any: fc.oneof(
        { depthSize: 'medium' },
        fc.constantFrom<unknown>(
          'string',
          'object',
          'array',
          'integer',
          '#',
          '#/$defs',
          '#/items',
          'a',
          0,
          1,
          3,
          -1,
          0.5,
          1e9,
          true,
          false,
          null,
          'date',
          '[a-z]+',
        ),
        fc.dictionary(keyword, tie('any'), { maxKeys: 4 }),
        fc.dictionary(fc.constantFrom('a', 'b', '__proto__'), tie('any'), { maxKeys: 3 }),
        fc.array(tie('any'), { maxLength: 3 }),
      ),
    })).any
    let read = 0
    fc.assert(
      fc.property(schema, (s) => {
        try {
          const grammar = fromJsonSchema(s)
          read++
          matches(grammar, '{"a":[1,"b"]}')
        } catch (error) {
          expect(error).toBeInstanceOf(SkipstoneError)
        }
      }),
      { numRuns: 2000 },
    )
    expect(read).toBeGreaterThan(50)
  })
})
