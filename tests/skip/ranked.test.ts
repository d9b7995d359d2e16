import { expect, it } from 'vitest'
import { adaskip } from '../../src/skip/adaskip.js'
import { shortgpt } from '../../src/skip/shortgpt.js'
import { profileOf } from '../fixtures/profile.js'
import { skippedSublayers } from './sets.js'

const LAYERS = 4
const profile = {
  ...profileOf({ layers: LAYERS, fingerprint: 'x' }, [], [0.7, 0.95, 0.7, 0.2]),
  similarity: [0.5, 0.9, 0.99, 0.9, -0.2, 0.6, 0.95, 0.1],
  scale: [1, 2, 3, 4, 5, 6, 7, 8],
}

it.each([
  [0, []],
  [0.05, []],
  [0.1, [2]],
  [0.25, [2, 6]],
  // Of two equals the lower one.
  [0.375, [1, 2, 6]],
  [0.5, [1, 2, 3, 6]],
  [1, [0, 1, 2, 3, 4, 5, 6, 7]],
])('adaskip skips the share %f of the ranking of both kinds, with their scales', (skip, expected) => {
  const policy = adaskip({ skip, online: false, window: 20, profile })
  for (const phase of ['prefill', 'decode'] as const) expect(skippedSublayers(policy, LAYERS, phase)).toEqual(expected)
  expect(profile.scale.map((_, sublayer) => policy.scale!(sublayer))).toEqual(profile.scale)
})

it('adaskip adds the MLPs that turn out to be as similar as the least similar one of its set', () => {
  const policy = adaskip({ skip: 0.375, online: true, window: 7, profile })
  const { steps, sublayers, then } = policy.watch!
  expect({ steps, sublayers }).toEqual({ steps: 7, sublayers: [3, 5, 7] })
  const measured = [
    { sublayer: 3, similarity: 0.8999, scale: 1.3 },
    { sublayer: 5, similarity: 0.9, scale: 1.5 },
    { sublayer: 7, similarity: 0.98, scale: 1.7 },
  ]
  const rest = then(measured)
  expect(skippedSublayers(rest, LAYERS)).toEqual([1, 2, 5, 6, 7])
  expect([1, 2, 5, 6, 7].map((sublayer) => rest.scale!(sublayer))).toEqual([2, 3, 1.5, 7, 1.7])
  expect(rest.watch).toBeUndefined()
  // Who shares a name shares steps.
  expect(then([{ ...measured[2]!, scale: 1.71 }]).name).not.toBe(then([measured[2]!]).name)
  expect(adaskip({ skip: 0, online: true, window: 7, profile }).watch).toBeUndefined()
})

it.each([
  [0, []],
  [0.25, [2, 3]],
  [0.5, [0, 1, 2, 3]],
  [0.75, [0, 1, 2, 3, 4, 5]],
])('shortgpt skips the share %f of the layers, those of the least influence', (skip, expected) => {
  const policy = shortgpt({ skip, profile })
  for (const phase of ['prefill', 'decode'] as const) expect(skippedSublayers(policy, LAYERS, phase)).toEqual(expected)
  expect(policy.scale).toBeUndefined()
})
