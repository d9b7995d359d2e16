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
  const policy = adaskip({ skip, profile })
  for (const phase of ['prefill', 'decode'] as const) expect(skippedSublayers(policy, LAYERS, phase)).toEqual(expected)
  expect(profile.scale.map((_, sublayer) => policy.scale!(sublayer))).toEqual(profile.scale)
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
