import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CHOICES, DTYPES, ROUTERS } from '../../demo/compare/setting.js'
import { DEFAULT_STATE, FEWEST, fromHash, MOST, toHash } from '../../demo/compare/state.js'

const settings = fc.record({
  policy: fc.constantFrom(...CHOICES.map(({ id }) => id)),
  share: fc.integer({ min: 0, max: 90 }),
  routers: fc.constantFrom(...ROUTERS),
  lora: fc.boolean(),
  dtype: fc.constantFrom(...DTYPES),
})

const states = fc.record({
  prompt: fc.string({ unit: 'grapheme' }),
  maxTokens: fc.integer({ min: 1, max: 1_000_000 }),
  temperature: fc.double({ min: 0, max: 5, noNaN: true }).map((t) => t + 0),
  seed: fc.integer({ min: 0, max: 0xffff_ffff }),
  address: fc.oneof(fc.constant(''), fc.webUrl({ withFragments: true, withQueryParameters: true })),
  settings: fc.array(settings, { minLength: FEWEST, maxLength: MOST }),
})

test('a link says all that was asked', () => {
  fc.assert(
    fc.property(states, (state) => {
      expect(fromHash(toHash(state))).toEqual(state)
      // As the browser hands it back.
      expect(fromHash(new URL(toHash(state), 'https://example.org/compare.html').hash)).toEqual(state)
    }),
  )
})

test('no hash is the default', () => {
  expect(fromHash('')).toEqual(DEFAULT_STATE)
  expect(fromHash('#')).toEqual(DEFAULT_STATE)
})

test('a damaged link becomes something that can run', () => {
  expect(fromHash('#tokens=-3&temperature=warm&seed=1.5&s=&s=nothing.x.77.maybe.f64&s=forced.1000')).toEqual({
    ...DEFAULT_STATE,
    settings: [
      DEFAULT_STATE.settings[0],
      DEFAULT_STATE.settings[0],
      { ...DEFAULT_STATE.settings[0], policy: 'forced', share: 90 },
    ],
  })
  expect(fromHash('#s=dense').settings).toHaveLength(FEWEST)
  expect(fromHash(`#${'&s=dense'.repeat(9)}`).settings).toHaveLength(MOST)
  fc.assert(
    fc.property(fc.string(), (hash) => {
      const state = fromHash(hash)
      expect(fromHash(toHash(state))).toEqual(state)
    }),
  )
})
