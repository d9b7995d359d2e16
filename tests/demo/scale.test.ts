import fc from 'fast-check'
import { expect, test } from 'vitest'
import { scale, ticks } from '../../demo/compare/scale.js'

test('ticks are round numbers around the range', () => {
  expect(ticks(0, 0.5)).toEqual([0, 0.1, 0.2, 0.3, 0.4, 0.5])
  expect(ticks(2.31, 4.87)).toEqual([2, 3, 4, 5])
  expect(ticks(3, 3)).toEqual([2.4, 2.6, 2.8, 3, 3.2, 3.4, 3.6])
})

test('every value lies on the page, whatever the range', () => {
  const value = fc.double({ min: -1e6, max: 1e6, noNaN: true })
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 20 }), (values) => {
      const axis = scale(values, 300, 10)
      expect(axis.ticks.length).toBeGreaterThan(1)
      expect(axis.ticks.length).toBeLessThan(12)
      for (const v of values) {
        expect(axis.at(v)).toBeLessThanOrEqual(300.001)
        expect(axis.at(v)).toBeGreaterThanOrEqual(9.999)
      }
      expect(axis.at(axis.ticks[0]!)).toBeCloseTo(300, 6)
      expect(axis.at(axis.ticks.at(-1)!)).toBeCloseTo(10, 6)
    }),
  )
})

test('no values at all still make an axis', () => {
  expect(scale([], 0, 100).ticks).toEqual([0, 1])
})
