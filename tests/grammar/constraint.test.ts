import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createConstraint } from '../../src/grammar/constraint.js'
import {
  chars,
  choice,
  complement,
  type Expression,
  literal,
  optional,
  repeat,
  rule,
  sequence,
} from '../../src/grammar/expression.js'
import { parseGbnf } from '../../src/grammar/gbnf.js'
import { Grammar } from '../../src/grammar/grammar.js'
import { Prng } from '../fixtures/prng.js'
import { allowed, bitOf, bruteForceMask, matches, read, vocabularyOf } from './texts.js'

/** Expressions over few characters, so that random tokens fit; references only after a character, so never to the left. */
const expression: fc.Arbitrary<Expression> = fc.letrec<{ any: Expression }>((tie) => ({
  any: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom<Expression>(
      literal('a'),
      literal('ab'),
      literal('é'),
      literal('🙂b'),
      chars([[0x61, 0x63]]),
      chars([[0x80, 0x10ffff]]),
      // Inside a string, where walks take whole branches of the vocabulary at once.
      repeat(
        chars(complement([...'"\\'].map((char) => [char.charCodeAt(0), char.charCodeAt(0)] as const))),
        0,
        Number.POSITIVE_INFINITY,
      ),
    ),
    fc.constantFrom('root', 'other').map((name) => sequence(literal('('), rule(name), literal(')'))),
    fc.constantFrom('root', 'other').map((name) => sequence(literal('a'), rule(name))),
    fc.array(tie('any'), { maxLength: 3 }).map((items) => sequence(...items)),
    fc.array(tie('any'), { minLength: 1, maxLength: 3 }).map((items) => choice(...items)),
    fc.tuple(tie('any'), fc.nat(2), fc.nat(3)).map(([item, min, more]) => repeat(item, min, min + more)),
    tie('any').map((item) => repeat(item, 0, Number.POSITIVE_INFINITY)),
    tie('any').map(optional),
  ),
})).any

const grammar = fc.tuple(expression, expression).map(([root, other]) =>
  Grammar.of(
    new Map([
      ['root', choice(root, literal('('))],
      ['other', choice(other, literal('b'))],
    ]),
    'root',
  ),
)

/** Pieces of texts, halves of characters among them. */
const token = fc.oneof(
  fc
    .array(fc.constantFrom('a', 'b', 'c', '(', ')', 'é', '🙂', '"', '\\'), { minLength: 1, maxLength: 4 })
    .map((parts) => parts.join('')),
  fc.constantFrom(
    Uint8Array.of(0xc3),
    Uint8Array.of(0xa9, 0x61),
    Uint8Array.of(0xf0, 0x9f),
    Uint8Array.of(0x99, 0x82, 0x62),
    Uint8Array.of(),
    undefined,
  ),
)

describe('createConstraint', () => {
  it('allows the tokens whose bytes go on with the text, and no others', () => {
    let steps = 0
    fc.assert(
      fc.property(grammar, fc.array(token, { maxLength: 40 }), fc.nat(), (g, tokens, seed) => {
        const vocabulary = vocabularyOf(tokens)
        const constraint = createConstraint(g, vocabulary)
        const random = new Prng(seed)
        let state = g.start
        for (let step = 0; step < 12; step++) {
          const may = bruteForceMask(g, state, vocabulary)
          expect(allowed(constraint.mask(), vocabulary.size)).toEqual(may)
          const wrong = random.below(vocabulary.size)
          if (!may.includes(wrong))
            expect(() => constraint.accept(wrong)).toThrow(expect.objectContaining({ code: 'bad-option' }))
          const id = may[random.below(may.length)]!
          constraint.accept(id)
          steps++
          if (vocabulary.stopIds.includes(id)) break
          state = read(g, vocabulary.bytes(id)!, state)
        }
      }),
      { numRuns: 500 },
    )
    expect(steps).toBeGreaterThan(1500)
  })

  it('never leads into a dead end: every state can go on or end', () => {
    fc.assert(
      fc.property(grammar, fc.nat(), (g, seed) => {
        const random = new Prng(seed)
        let state = g.start
        for (let step = 0; step < 30; step++) {
          const bytes = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => g.read(state, byte) !== g.dead)
          expect(bytes.length > 0 || state.accepts).toBe(true)
          if (bytes.length === 0) break
          state = g.read(state, bytes[random.below(bytes.length)]!)
        }
      }),
    )
  })

  it('takes the same text in any cut', () => {
    const g = parseGbnf('root ::= "{\\"é🙂\\":" [a-z日]+ ("," root)? "}"')
    const text = '{"é🙂":ab日c,{"é🙂":z}}'
    expect(matches(g, text)).toBe(true)
    const bytes = new TextEncoder().encode(text)
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 1, max: bytes.length - 1 })), (cuts) => {
        const ends = [...cuts.sort((a, b) => a - b), bytes.length]
        const pieces = ends.map((end, i) => bytes.slice(ends[i - 1] ?? 0, end))
        const vocabulary = vocabularyOf(pieces)
        const constraint = createConstraint(g, vocabulary)
        pieces.forEach((_, id) => {
          expect(bitOf(constraint.mask(), id)).toBe(true)
          constraint.accept(id)
        })
        // Nothing can follow, so only the stop token is left, and it again after itself.
        expect(allowed(constraint.mask(), vocabulary.size)).toEqual(vocabulary.stopIds)
        constraint.accept(vocabulary.stopIds[0])
        expect(allowed(constraint.mask(), vocabulary.size)).toEqual(vocabulary.stopIds)
        expect(() => constraint.accept(0)).toThrow(/not allowed/)
      }),
    )
  })

  it('gives masks that the caller may change, and constraints that do not know of each other', () => {
    const g = parseGbnf('root ::= "ab"')
    const vocabulary = vocabularyOf(['a', 'b', 'ab'])
    const one = createConstraint(g, vocabulary)
    const two = createConstraint(g, vocabulary)
    one.mask().fill(0)
    one.accept(0)
    expect(allowed(one.mask(), 3)).toEqual([1])
    expect(allowed(two.mask(), 3)).toEqual([0, 2])
    expect(allowed(one.mask(), vocabulary.size)).toEqual([1, 3 + 0x62])
  })

  it('refuses ids that are no tokens', () => {
    const vocabulary = vocabularyOf(['a'])
    const constraint = createConstraint(parseGbnf('root ::= .*'), vocabulary)
    for (const id of [-1, 0.5, Number.NaN, vocabulary.size, 1e9])
      expect(() => constraint.accept(id)).toThrow(/not allowed/)
    for (const stopIds of [[], [-1], [1.5], [vocabulary.size]])
      expect(() => createConstraint(parseGbnf('root ::= "a"'), { ...vocabulary, stopIds })).toThrow(/Stop tokens/)
  })

  it('keeps to what the vocabulary can write', () => {
    const over = (texts: readonly string[], gbnf: string) => {
      const tokens = texts.map((text) => new TextEncoder().encode(text))
      const stop = tokens.length
      return createConstraint(parseGbnf(gbnf), { size: stop + 1, bytes: (id) => tokens[id], stopIds: [stop] })
    }
    // "aé" begins with a token that there is, but would come to nothing.
    const constraint = over(['a', 'b'], 'root ::= "aé" | "b" "é"? | [c-é] "b"')
    expect(allowed(constraint.mask(), 3)).toEqual([1])
    constraint.accept(1)
    expect(allowed(constraint.mask(), 3)).toEqual([2])
    for (const texts of [['a', 'b'], []])
      expect(() => over(texts, 'root ::= "aé"')).toThrow(expect.objectContaining({ code: 'unsupported' }))
    // All bytes are there, but none ends where the text does.
    const stuck = over(['a', 'bc'], 'root ::= "ab"')
    stuck.accept(0)
    expect(() => stuck.mask()).toThrow(expect.objectContaining({ code: 'unsupported' }))
  })

  it('gives up on a grammar whose states multiply', () => {
    // The state is the set of places of "a" among the last 2000 characters, so almost every text has its own.
    const g = parseGbnf('root ::= [ab]* "a" [ab]{2000}')
    const random = new Prng(1)
    const word = () => Array.from({ length: 4000 }, () => (random.below(2) ? 'a' : 'b')).join('')
    const constraint = createConstraint(g, vocabularyOf(Array.from({ length: 20 }, word)))
    expect(() => constraint.mask()).toThrow(/too ambiguous/)
  })
})
