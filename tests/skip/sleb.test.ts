import { expect, it } from 'vitest'
import type { SkipPolicy } from '../../src/skip/policy.js'
import { sleb } from '../../src/skip/sleb.js'
import { skippedSublayers } from './sets.js'

const LAYERS = 6
const layersOf = (policy: SkipPolicy) =>
  skippedSublayers(policy, LAYERS)
    .filter((sublayer) => sublayer % 2 === 0)
    .map((sublayer) => sublayer / 2)

/** What a layer is worth, and that 2 and 3 stand for each other. */
const WORTH = [0, 5, 1, 1.5, 2.5, 0]
let asked: number[][] = []
const loss = async (policy: SkipPolicy) => {
  const left = layersOf(policy)
  asked.push(left)
  const both = left.includes(2) && left.includes(3)
  return left.reduce((sum, layer) => sum + WORTH[layer]!, 0) + (both ? 10 : 0)
}

it.each([
  [0, []],
  [0.17, [2]],
  // Alone, 3 would be next.
  [0.34, [2, 4]],
  [0.5, [1, 2, 4]],
  [0.67, [1, 2, 3, 4]],
])('sleb leaves out the share %f, each layer as the others allow', async (skip, expected) => {
  asked = []
  const policy = await sleb({ skip, layers: LAYERS, loss })
  expect(layersOf(policy)).toEqual(expected)
  for (const phase of ['prefill', 'decode'] as const) {
    const both = expected.flatMap((layer) => [2 * layer, 2 * layer + 1])
    expect(skippedSublayers(policy, LAYERS, phase)).toEqual(both)
  }
  // Four candidates, then three, and so on; never the first or the last layer.
  expect(asked).toHaveLength([0, 4, 7, 9, 10][expected.length]!)
  expect(asked.flat().some((layer) => layer === 0 || layer === LAYERS - 1)).toBe(false)
})

it('sleb keeps the lower of equals', async () => {
  const policy = await sleb({ skip: 0.17, layers: LAYERS, loss: async () => 1 })
  expect(layersOf(policy)).toEqual([1])
})

it('sleb does not reach the first and the last layer', async () => {
  await expect(sleb({ skip: 0.8, layers: LAYERS, loss })).rejects.toMatchObject({ code: 'bad-option' })
})
