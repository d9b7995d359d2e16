import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SkipstoneError } from '../../src/errors.js'
import {
  type InspectorTrace,
  MAX_POSITIONS,
  parseTraceText,
  readTrace,
  writeTrace,
} from '../../src/inspector/trace-file.js'
import { syntheticTrace } from './synthetic.js'

const again = (trace: InspectorTrace) => writeTrace(parseTraceText(JSON.stringify(trace)))

describe('saved traces', () => {
  it.each([1, 12, 16, 17, 64])('come back as they were, with %i layers', (layers) => {
    const trace = syntheticTrace({ layers, tokens: 33, margins: layers % 2 === 0 })
    expect(again(trace)).toEqual(trace)
  })

  it('hold a token that was chosen but not run, and one whose decisions were not told', () => {
    const trace = syntheticTrace({ layers: 3, tokens: 5 })
    trace.steps[2] = { ...trace.steps[2]!, attention: '000', mlp: '000', unknown: true }
    trace.next = { token: 9, text: ' x', origin: 'generated' }
    expect(again(trace)).toEqual(trace)
    const store = readTrace(trace)
    expect(store.runCount).toBe(4)
    expect(store.length).toBe(6)
    expect(store.hasRun(2)).toBe(false)
  })

  it('may be what the command line writes: without texts', () => {
    const store = readTrace({ layers: 1, steps: [{ position: 0, token: 5, attention: '1', mlp: '0' }] })
    expect(store.token(0)).toEqual({
      position: 0,
      id: 5,
      text: undefined,
      special: false,
      origin: undefined,
      ran: true,
      hasMargins: false,
    })
    expect([store.executed(0, 0), store.executed(0, 1)]).toEqual([true, false])
  })
})

describe('files that are no traces', () => {
  const good = { position: 0, token: 5, attention: '1', mlp: '0' }
  const cases: [string, unknown, RegExp][] = [
    ['a list', [], /no object/],
    ['null', null, /no object/],
    ['without layers', { steps: [] }, /“layers”/],
    ['too many layers', { layers: 1e9, steps: [] }, /“layers”/],
    ['without steps', { layers: 1 }, /“steps”/],
    ['a length instead of steps', { layers: 1, steps: { length: 1e9 } }, /“steps”/],
    ['a title that is none', { layers: 1, steps: [], title: {} }, /“title”/],
    ['a gap', { layers: 1, steps: [{ ...good, position: 1 }] }, /position 1/],
    ['a step that is null', { layers: 1, steps: [null] }, /Step 0/],
    ['a pattern too short', { layers: 2, steps: [{ ...good, mlp: '00' }] }, /“attention” of 2/],
    ['a pattern with other characters', { layers: 1, steps: [{ ...good, mlp: 'x' }] }, /“mlp”/],
    ['a token that is none', { layers: 1, steps: [{ ...good, token: -1 }] }, /token id/],
    ['an origin that is none', { layers: 1, steps: [{ ...good, origin: 'web' }] }, /origin/],
    ['a text that is none', { layers: 1, steps: [{ ...good, text: 1 }] }, /text/],
    ['margins of one kind', { layers: 1, steps: [{ ...good, marginMlp: [1] }] }, /margin/],
    ['a margin out of range', { layers: 1, steps: [{ ...good, marginMlp: [1e300], marginAttention: [0] }] }, /finite/],
    ['a next token that is none', { layers: 1, steps: [], next: 3 }, /next/],
    ['too many steps', { layers: 1, steps: new Array(MAX_POSITIONS + 1) }, /at most/],
  ]
  it.each(cases)('%s', (_, value, words) => {
    let error: unknown
    try {
      readTrace(value)
    } catch (thrown) {
      error = thrown
    }
    expect(error).toBeInstanceOf(SkipstoneError)
    expect((error as SkipstoneError).code).toBe('bad-file')
    expect((error as SkipstoneError).message).toMatch(words)
    // And what to do.
    expect((error as SkipstoneError).message).toMatch(/exported as JSON/)
  })

  it('a text that is not JSON', () => {
    expect(() => parseTraceText('<!doctype html>')).toThrow(/not JSON/)
  })

  it('anything else: a typed error or a trace, never another failure', () => {
    const value = fc.oneof(
      fc.jsonValue(),
      fc.record({ layers: fc.jsonValue(), steps: fc.array(fc.jsonValue()) }),
      fc.record({
        layers: fc.constant(1),
        steps: fc.array(
          fc.record({ position: fc.constant(0), token: fc.nat(), attention: fc.string(), mlp: fc.string() }),
        ),
      }),
    )
    fc.assert(
      fc.property(value, (made) => {
        try {
          readTrace(made)
        } catch (error) {
          expect((error as SkipstoneError).code).toBe('bad-file')
        }
      }),
      { numRuns: 500 },
    )
  })
})
