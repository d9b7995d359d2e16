import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SkipstoneError } from '../../src/errors.js'
import { regexGrammar } from '../../src/grammar/regex.js'
import { matches } from './texts.js'

const ATOMS = [
  'a',
  'b',
  'é',
  '🙂',
  '\\n',
  '-',
  '.',
  '\\d',
  '\\w',
  '\\s',
  '\\S',
  '\\W',
  '\\.',
  '[a-c]',
  '[^ab]',
  '[\\d_-]',
  '[^\\s🙂]',
  '\\u00e9',
  '\\x61',
  '[]',
  '[^]',
  '\\u{1F642}',
  '\\ud83d\\ude42',
  '[+\\-\\]]',
]
const QUANTIFIERS = ['', '', '', '*', '+', '?', '{2}', '{1,}', '{0,2}', '*?', '+?']

const pattern: fc.Arbitrary<string> = fc.letrec<{ any: string }>((tie) => {
  const atom = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...ATOMS) },
    tie('any').map((inner) => `(?:${inner})`),
    tie('any').map((inner) => `(${inner})`),
  )
  const quantified = fc.tuple(atom, fc.constantFrom(...QUANTIFIERS)).map((parts) => parts.join(''))
  const row = fc.array(quantified, { maxLength: 4 }).map((parts) => parts.join(''))
  return {
    any: fc.oneof(
      { depthSize: 'small' },
      row,
      fc.tuple(row, row).map((parts) => parts.join('|')),
    ),
  }
}).any

const text = fc
  .array(fc.constantFrom('a', 'b', 'c', 'd', '1', '_', 'é', '🙂', '日', ' ', '\n', '\u2028', '-', '.', '+', ']'), {
    maxLength: 6,
  })
  .map((parts) => parts.join(''))

describe('regexGrammar', () => {
  it("matches what JavaScript's own expressions match", () => {
    let yes = 0
    fc.assert(
      fc.property(pattern, fc.array(text, { minLength: 20, maxLength: 20 }), (source, texts) => {
        const ours = compile(source)
        const theirs = new RegExp(`^(?:${source})$`, 'u')
        for (const t of texts) {
          expect(ours !== undefined && matches(ours, t)).toBe(theirs.test(t))
          if (theirs.test(t)) yes++
        }
      }),
      { numRuns: 600 },
    )
    expect(yes).toBeGreaterThan(400)
  })

  /** Undefined where no text matches, which is an error here and an expression like any other there. */
  function compile(source: string) {
    try {
      return regexGrammar(source)
    } catch (error) {
      expect(String(error)).toMatch(/No text matches/)
      return undefined
    }
  }

  it('takes anchors at the ends, and named groups', () => {
    expect(matches(regexGrammar('^a|b$'), 'b')).toBe(true)
    expect(matches(regexGrammar('^(?<year>\\d{4})$'), '2026')).toBe(true)
  })

  it.each([
    'a(?=b)',
    'a(?!b)',
    '(?<=a)b',
    '(?i:a)',
    '(a)\\1',
    '\\bword\\b',
    '\\p{L}',
    '\\cA',
    'a^b',
    '(^a)',
    'a$b',
    '(a$)',
    'a{1000000}',
  ])('does not do /%s/', (source) => {
    expect(() => regexGrammar(source)).toThrow(expect.objectContaining({ code: 'unsupported' }))
  })

  it.each([
    '(',
    ')',
    'a)',
    '[a',
    '*',
    'a**',
    'a{2',
    'a{,2}',
    'a{3,2}',
    '[b-a]',
    '[\\d-z]',
    '\\',
    '\\q',
    '\\u12',
    '\\u{110000}',
    ']',
    '}',
    '(?<a',
  ])('refuses /%s/', (source) => {
    expect(() => regexGrammar(source)).toThrow(SkipstoneError)
    expect(() => new RegExp(source, 'u')).toThrow(SyntaxError)
  })

  it('refuses half a surrogate pair, which no UTF-8 text has', () => {
    expect(() => regexGrammar('\\ud83d\\u0041')).toThrow(/surrogate stands alone/)
    expect(() => regexGrammar('[\\udfff]')).toThrow(/No text matches/)
  })

  it('gives typed errors for any pattern', () => {
    const piece = fc.constantFrom(
      ...ATOMS,
      ...QUANTIFIERS,
      '(',
      ')',
      '[',
      ']',
      '|',
      '^',
      '$',
      '{999}',
      '(?=',
      '\\',
      '{',
    )
    const source = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(piece, { maxLength: 15 }).map((parts) => parts.join('')),
    )
    fc.assert(
      fc.property(source, text, (p, t) => {
        try {
          matches(regexGrammar(p), t)
        } catch (error) {
          expect(error).toBeInstanceOf(SkipstoneError)
        }
      }),
      { numRuns: 1000 },
    )
  })
})
