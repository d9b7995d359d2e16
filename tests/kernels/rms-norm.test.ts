import { describe, it } from 'vitest'
import { planSlot } from '../../shaders/snippets/plan.js'
import { rmsNorm } from '../../src/kernels/reference/rms-norm.js'
import { rmsNormKernel } from '../../src/kernels/rms-norm.js'
import { Prng } from '../fixtures/prng.js'
import {
  activeRows,
  expectClose,
  gpuSuite,
  noise,
  padRows,
  planOf,
  range,
  takeRows,
  vectorTable,
} from '../gpu/testing.js'

const CAPACITY = 9
const VARIANTS = [
  { d: 70, rows: 'all', eps: 1e-6, lanes: 64 },
  { d: 70, rows: 'active', eps: 1e-5, lanes: 8 },
  { d: 333, rows: 'active', eps: 0.5, lanes: 64 },
  { d: 333, rows: 'all', eps: 1e-5, lanes: 8 },
  { d: 70, rows: 'active', eps: 1e-5, lanes: 1 },
  { d: 333, rows: 'all', eps: 1e-6, lanes: 1 },
] as const

gpuSuite('rms-norm', (bench) => {
  describe.each(VARIANTS)('d $d, $rows rows, $lanes invocations', (variant) => {
    const { d, eps } = variant
    const width = 4 * Math.ceil(d / 4)
    const prng = new Prng(d)
    const x = noise(prng, CAPACITY * d, 2)
    x.fill(1e-4, 0, d) // here eps counts
    const norm = noise(prng, d)
    const vectors = vectorTable({ norm })

    const run = async (rows: number, mask: readonly number[]) => {
      const { gpu, arena } = bench
      const kernel = await rmsNormKernel(gpu, { d, d4: width / 4, eps, rows: variant.rows }, variant.lanes)
      const buffers = {
        plan: bench.upload(planOf({ rows, capacity: CAPACITY, execute: [[1], mask] })),
        x: bench.upload(padRows(x, d)),
        vectors: bench.upload(vectors.data),
        u: bench.poisoned(CAPACITY * width),
      }
      await bench.run([kernel(arena, buffers, { slot: planSlot(1, CAPACITY), ...vectors.at })], { rows: CAPACITY })
      const from = variant.rows === 'all' ? range(rows) : activeRows(mask)
      const expected = rmsNorm(takeRows(x, from, d), norm, eps, from.length, d)
      // The padding is written too, as zeros: the next product reads it.
      expectClose((await bench.floats(buffers.u)).subarray(0, from.length * width), padRows(expected, d))
      await bench.expectUntouched(buffers.u, { from: 0, to: from.length * width })
    }

    it('normalises every row', () => run(CAPACITY, Array(CAPACITY).fill(1)))
    it('gathers some rows', () => run(8, [0, 1, 0, 0, 1, 1, 0, 1]))
    it('takes the last row alone', () => run(8, [0, 0, 0, 0, 0, 0, 0, 1]))
    it('writes nothing for no active rows', () => run(variant.rows === 'all' ? 0 : 8, Array(8).fill(0)))
  })
})
