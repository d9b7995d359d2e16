import { describe, expect, it } from 'vitest'
import { first } from '../../src/skip/first.js'
import { layerskip } from '../../src/skip/layerskip.js'
import { random } from '../../src/skip/random.js'
import { skippedSublayers } from './sets.js'

describe('first', () => {
  it.each([
    [0, []],
    [0.1, [2]],
    [0.25, [2, 3, 4]],
    [0.5, [2, 3, 4, 5, 6]],
    [0.8, [2, 3, 4, 5, 6, 7, 8, 9]],
  ])('skips %f of five layers behind layer 0', (skip, expected) => {
    const policy = first({ skip, layers: 5 })
    expect(skippedSublayers(policy, 5)).toEqual(expected)
    expect(skippedSublayers(policy, 5, 'prefill')).toEqual(expected)
  })

  it('does not reach layer 0', () => {
    expect(() => first({ skip: 0.86, layers: 5 })).toThrow(
      expect.objectContaining({ code: 'bad-option', message: expect.stringContaining('a share of 0.8') }),
    )
  })
})

describe('layerskip', () => {
  it.each([
    [{ exit: 1 }, 1],
    [{ exit: 5 }, 5],
    [{ skip: 0.4 }, 3],
    [{ skip: 0.8 }, 1],
    // The default share, a quarter.
    [{}, 4],
  ])('%o leaves %i of five layers', (options, kept) => {
    const policy = layerskip({ skip: undefined, exit: undefined, ...options, layers: 5 })
    const dropped = Array.from({ length: 2 * (5 - kept) }, (_, i) => 2 * kept + i)
    expect(skippedSublayers(policy, 5)).toEqual(dropped)
    expect(skippedSublayers(policy, 5, 'prefill')).toEqual(dropped)
  })

  it.each([{ exit: 6 }, { skip: 0.9 }])('%o is out of reach', (options) => {
    const make = () => layerskip({ skip: undefined, exit: undefined, ...options, layers: 5 })
    expect(make).toThrow(expect.objectContaining({ code: 'bad-option', message: expect.stringContaining('reach') }))
  })
})

describe('random', () => {
  it.each([0, 0.1, 0.25, 0.33, 0.5, 1])('skips the share %f exactly, up to rounding', (skip) => {
    for (const layers of [1, 3, 30]) {
      for (let seed = 0; seed < 5; seed++) {
        const policy = random({ skip, seed, layers })
        expect(skippedSublayers(policy, layers)).toHaveLength(Math.round(skip * 2 * layers))
        expect(skippedSublayers(policy, layers, 'prefill')).toEqual(skippedSublayers(policy, layers))
      }
    }
  })

  it('is the same for a seed, and grows with the share', () => {
    const set = (skip: number, seed: number) => skippedSublayers(random({ skip, seed, layers: 16 }), 16)
    expect(set(0.25, 3)).toEqual(set(0.25, 3))
    expect(set(0.25, 3)).not.toEqual(set(0.25, 4))
    expect(set(0.5, 3)).toEqual(expect.arrayContaining(set(0.25, 3)))
  })

  it('prefers no sublayer', () => {
    const layers = 4
    const seeds = 2000
    const counts = new Array(2 * layers).fill(0)
    for (let seed = 0; seed < seeds; seed++) {
      for (const sublayer of skippedSublayers(random({ skip: 0.25, seed, layers }), layers)) counts[sublayer]++
    }
    // Four standard deviations of a count.
    const bound = 4 * Math.sqrt(seeds * 0.25 * 0.75)
    for (const count of counts) expect(Math.abs(count - seeds / 4)).toBeLessThan(bound)
  })
})
