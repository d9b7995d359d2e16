import { it } from 'vitest'
import type { WeightDtype } from '../../shaders/snippets/weights.js'
import { linearBackwardKernel } from '../../src/tuning/kernels/linear-backward.js'
import { linearBackward } from '../../src/tuning/reference/linear-backward.js'
import { Prng } from '../fixtures/prng.js'
import { expectClose, gpuSuite, noise, padRows, planOf, randomMatrix } from '../gpu/testing.js'

const CAPACITY = 19
const MANY = { n: 37, k: 70, rows: 19, firstRow: 2, epilogue: 'store' } as const
const DTYPES: readonly WeightDtype[] = ['f32', 'f16', 'bf16', 'q8', 'q4']
const CASES = [
  ...DTYPES.map((dtype) => ({ ...MANY, dtype })),
  { ...MANY, k: 256, dtype: 'q4_k' },
  { n: 5, k: 150, rows: 9, firstRow: 0, epilogue: 'add', dtype: 'q4' },
  { n: 9, k: 70, rows: 19, firstRow: 1, epilogue: 'add-to-share', dtype: 'f16' },
  { n: 8, k: 4, rows: 1, firstRow: 1, epilogue: 'add', dtype: 'f32' },
  { n: 8, k: 4, rows: 0, firstRow: 1, epilogue: 'add', dtype: 'f32' },
] as const

gpuSuite('linear-backward', (bench) => {
  it.each(CASES)(
    '$rows rows through $n × $k in $dtype, $epilogue',
    async ({ n, k, rows, firstRow, epilogue, dtype }) => {
      const prng = new Prng(n * k)
      const k4 = Math.ceil(k / 4)
      const { bytes, stored } = randomMatrix(prng, firstRow + n, k, dtype)
      const dy = noise(prng, CAPACITY * n)
      const before = noise(prng, CAPACITY * k)
      const sums = noise(prng, CAPACITY * 4)
      const kept = { store: () => 0, add: () => 1, 'add-to-share': (row: number) => sums[4 * row + 3]! }[epilogue]
      const kernel = await linearBackwardKernel(bench.gpu, { n, k4, dtype, epilogue })
      const buffers = {
        plan: bench.upload(planOf({ rows, capacity: CAPACITY })),
        dy: bench.upload(padRows(dy, n)),
        weights: bench.upload(bytes),
        dx: bench.inout(padRows(before, k)),
        sums: bench.upload(sums),
      }
      await bench.run([kernel(bench.arena, buffers, { firstRow })], { rows: CAPACITY })
      const gradient = linearBackward(dy, stored.slice(firstRow * k), rows, n, k)
      const expected = before.map((value, i) => (i < rows * k ? gradient[i]! + kept(Math.floor(i / k)) * value : value))
      expectClose(await bench.floats(buffers.dx), padRows(expected, k))
    },
  )
})
