import { expect, it } from 'vitest'
import { dense } from '../../src/skip/dense.js'
import { forced } from '../../src/skip/forced.js'
import { speculative } from '../../src/skip/speculative.js'
import { unified } from '../../src/skip/unified.js'
import { randomIds } from '../fixtures/tiny-model.js'
import { describeRuntime, generate, leftOut } from './support.js'

describeRuntime('speculation', (bench) => {
  it.each([
    ['routed', () => forced({ skip: 0.3, seed: 4 })],
    ['static', () => unified({ speedup: 1.5, form: 'even', layers: 3 })],
    ['everything', () => leftOut({ skipped: [0, 1, 2, 3, 4, 5] })],
  ])('dense tokens, %s drafts', async (_, draft) => {
    for (const length of [1, 4, 'adaptive'] as const) {
      const sequence = bench().sequence(speculative({ draft: draft(), length, layers: 3 }))
      const plain = bench().sequence(dense)
      const ids = randomIds(9, 3)
      const expected = await generate(plain, ids, 60)
      const run = await generate(sequence, ids, 60)
      console.log(length, sequence.speculation)
      expect(run.tokens).toEqual(expected.tokens)
      expect(run.records.length).toBe(expected.records.length)
      expect(run.records.map((r) => r.bits[0])).toEqual(expected.records.map((r) => r.bits[0]))
    }
  })
})
