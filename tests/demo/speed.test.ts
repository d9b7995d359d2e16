import { expect, it } from 'vitest'
import { remaining, Speed } from '../../demo/speed.js'

it('tells the speed of the last seconds', () => {
  const speed = new Speed()
  expect(speed.add(0, 0)).toBeUndefined()
  expect(speed.add(100, 400)).toBeUndefined()
  expect(speed.add(1000, 1000)).toBe(1000)
  expect(speed.add(1000, 3000)).toBeCloseTo(333.3, 1)
  // What is older than five seconds does not count.
  expect(speed.add(9000, 7000)).toBeCloseTo(2000)
})

it('begins anew with another file', () => {
  const speed = new Speed()
  speed.add(5000, 0)
  speed.add(9000, 1000)
  expect(speed.add(10, 2000)).toBeUndefined()
})

it.each([
  [0.2, '1 s left'],
  [59, '59 s left'],
  [150, '3 min left'],
  [9000, '2.5 h left'],
])('says %d seconds as people do', (seconds, words) => expect(remaining(seconds)).toBe(words))
