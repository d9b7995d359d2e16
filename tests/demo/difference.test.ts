import fc from 'fast-check'
import { expect, test } from 'vitest'
import { difference, sublayerName, totals } from '../../demo/compare/difference.js'
import { agreement, type TraceFile } from '../../src/index.js'

function trace(...steps: readonly [attention: string, mlp: string][]): TraceFile {
  return { layers: 2, steps: steps.map(([attention, mlp], position) => ({ position, token: 7, attention, mlp })) }
}

test('each sublayer of each token has one of four states', () => {
  const map = difference(trace(['11', '00'], ['01', '10']), trace(['10', '01'], ['01', '10']))
  expect(map.tokens).toBe(2)
  expect(map.rows).toEqual([
    ['both', 'neither'], // attention 0
    ['neither', 'both'], // MLP 0
    ['first', 'both'], // attention 1
    ['this', 'neither'], // MLP 1
  ])
  expect(map.counts[2]).toEqual({ both: 1, neither: 0, first: 1, this: 0 })
  expect(totals(map)).toEqual({ both: 3, neither: 3, first: 1, this: 1 })
  expect(map.rows.map((_, i) => sublayerName(i))).toEqual(['Attention 0', 'MLP 0', 'Attention 1', 'MLP 1'])
})

test('covers the tokens that both have, which may be none', () => {
  expect(difference(trace(['11', '00'], ['11', '11']), trace(['11', '00'])).tokens).toBe(1)
  expect(totals(difference(trace(), trace()))).toEqual({ both: 0, neither: 0, first: 0, this: 0 })
})

test('the map and the share of agreement say the same', () => {
  const row = fc.tuple(fc.constantFrom('00', '01', '10', '11'), fc.constantFrom('00', '01', '10', '11'))
  fc.assert(
    fc.property(fc.array(fc.tuple(row, row), { minLength: 1, maxLength: 9 }), (pairs) => {
      const [a, b] = [trace(...pairs.map(([left]) => left)), trace(...pairs.map(([, right]) => right))]
      const sum = totals(difference(a, b))
      expect((sum.both + sum.neither) / (4 * pairs.length)).toBeCloseTo(agreement(a, b), 12)
    }),
  )
})
