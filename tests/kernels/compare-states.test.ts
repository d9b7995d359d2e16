import { describe, expect, it } from 'vitest'
import { compareStatesKernel } from '../../src/kernels/compare-states.js'
import { compareStates } from '../../src/kernels/reference/compare-states.js'
import { Prng } from '../fixtures/prng.js'
import { expectClose, gpuSuite, noise, padRows, planOf } from '../gpu/testing.js'

const CAPACITY = 6
const COUNT = 3
const INDEX = 1

gpuSuite('compare-states', (bench) => {
  describe.each([1, 70, 333])('d %i', (d) => {
    const prng = new Prng(d)
    const width = 4 * Math.ceil(d / 4)
    const a = noise(prng, CAPACITY * d, 3)
    const b = noise(prng, CAPACITY * d, 0.5)
    // A row like another, one that is turned round, and one of zeros.
    b.set(a.subarray(0, d), 0)
    b.set(
      a.subarray(d, 2 * d).map((value) => -2 * value),
      d,
    )
    a.fill(0, 2 * d, 3 * d)

    it.each([
      [0, false],
      [1, false],
      [5, false],
      [CAPACITY, false],
      [5, true],
    ])('compares %i rows (adds to what is there: %s)', async (rows, accumulates) => {
      const { gpu, arena } = bench
      const kernel = await compareStatesKernel(gpu, { d4: width / 4, count: COUNT, accumulates })
      const buffers = {
        plan: bench.upload(planOf({ rows, capacity: CAPACITY })),
        x: bench.upload(padRows(b, d)),
        before: bench.inout(padRows(a, d)),
        out: bench.poisoned(2 * COUNT * CAPACITY),
      }
      await bench.run([kernel(arena, buffers, { index: INDEX })], { rows: CAPACITY })

      const expected = compareStates(a, b, rows, d)
      const out = await bench.floats(buffers.out)
      const poison = new Float32Array(new Uint32Array([0x3fc0ffee]).buffer)[0]!
      const there = accumulates ? poison : 0
      const found = expected.map((_, row) =>
        out.slice(2 * (row * COUNT + INDEX), 2 * (row * COUNT + INDEX) + 2).map((value) => value - there),
      )
      expect(found.map(([cosine]) => cosine).slice(0, 2)).toEqual(
        [1, -1].slice(0, rows).map((value) => expect.closeTo(value, 5)),
      )
      for (const [row, { cosine, ratio }] of expected.entries()) {
        expectClose(found[row]!, [cosine, ratio])
      }
      const written = new Set(expected.flatMap((_, row) => [0, 1].map((i) => 2 * (row * COUNT + INDEX) + i)))
      expect([...out.keys()].filter((i) => out[i] !== poison && !written.has(i))).toEqual([])
      const now = [...padRows(b, d).subarray(0, rows * width), ...padRows(a, d).subarray(rows * width)]
      expect([...(await bench.floats(buffers.before))]).toEqual(now)
    })
  })
})
