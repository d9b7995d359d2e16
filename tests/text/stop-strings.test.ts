import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { StopStrings } from '../../src/text/stop-strings.js'

/** Feeds pieces until a stop; the text that was shown, and the stop. */
function run(stops: readonly string[], pieces: readonly string[]) {
  const finder = new StopStrings(stops)
  let text = ''
  for (const piece of pieces) {
    const { emit, stopped, stop, at } = finder.push(piece)
    text += emit
    if (stopped) return { text, stop, at }
  }
  return { text: text + finder.flush(), stop: undefined, at: undefined }
}

/** The definition, read off one character at a time: the first end at which a stop string is complete. */
function model(stops: readonly string[], text: string) {
  for (let end = 1; end <= text.length; end++) {
    const complete = stops.filter((stop) => text.slice(0, end).endsWith(stop))
    const stop = complete.sort((a, b) => b.length - a.length)[0]
    if (stop !== undefined) return { text: text.slice(0, end - stop.length), stop, at: end - stop.length }
  }
  return { text, stop: undefined, at: undefined }
}

const letters = fc.string({ unit: fc.constantFrom('a', 'b', '🙂'), maxLength: 3 })
const pieces = fc.array(letters, { maxLength: 20 })

describe('StopStrings', () => {
  it('finds one stop string where indexOf finds it, however the text is cut', () => {
    fc.assert(
      fc.property(
        letters.filter((s) => s !== ''),
        pieces,
        (stop, cut) => {
          const whole = cut.join('')
          const at = whole.indexOf(stop)
          const expected = at < 0 ? { text: whole } : { text: whole.slice(0, at), stop, at }
          expect(run([stop], cut)).toEqual(expected)
        },
      ),
    )
  })

  it('takes the stop string that is complete first, however the text is cut', () => {
    const stops = fc.array(
      letters.filter((s) => s !== ''),
      { maxLength: 4 },
    )
    fc.assert(
      fc.property(stops, pieces, (all, cut) => {
        expect(run(all, cut)).toEqual(model(all, cut.join('')))
      }),
    )
  })

  it('holds back only what may still become a stop string', () => {
    const finder = new StopStrings(['END', 'E!'])
    expect(finder.push('the E')).toEqual({ emit: 'the ', stopped: false })
    expect(finder.push('N')).toEqual({ emit: '', stopped: false })
    expect(finder.push('E')).toEqual({ emit: 'EN', stopped: false })
    expect(finder.push('!x')).toEqual({ emit: '', stopped: true, stop: 'E!', at: 6 })
    expect(finder.push('more')).toEqual({ emit: '', stopped: true, stop: 'E!', at: 6 })
    expect(finder.flush()).toBe('')
  })

  it('gives out what it held at the end', () => {
    const finder = new StopStrings(['END'])
    expect(finder.push('EN').emit).toBe('')
    expect(finder.flush()).toBe('EN')
    expect(finder.flush()).toBe('')
  })

  it('refuses an empty stop string', () => {
    expect(() => new StopStrings(['a', ''])).toThrow(expect.objectContaining({ code: 'bad-option' }))
  })
})
