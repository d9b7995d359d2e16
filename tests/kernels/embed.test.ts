import { describe, it } from 'vitest'
import { embedKernel } from '../../src/kernels/embed.js'
import { Prng } from '../fixtures/prng.js'
import { expectClose, gpuSuite, noise, padRows, planOf, storeMatrix, takeRows } from '../gpu/testing.js'

const IDS = Uint32Array.of(10, 0, 3, 3, 7)
const VARIANTS = [
  // More than one group across, and a rest.
  { d: 277, dtype: 'f32' },
  { d: 6, dtype: 'f16' },
  { d: 75, dtype: 'bf16' },
  { d: 277, dtype: 'q8' },
  { d: 96, dtype: 'q4' },
] as const

gpuSuite('embed', (bench) => {
  describe.each(VARIANTS)('d $d, $dtype', ({ d, dtype }) => {
    const width = 4 * Math.ceil(d / 4)
    const { bytes, stored } = storeMatrix(noise(new Prng(d), 11 * d), d, dtype)

    it.each([0, 1, 4, 5])('looks up %i rows', async (rows) => {
      const { gpu, arena } = bench
      const kernel = await embedKernel(gpu, { width4: width / 4, stride4: width / 4, dtype })
      const buffers = {
        plan: bench.upload(planOf({ rows, capacity: IDS.length })),
        ids: bench.upload(IDS),
        table: bench.upload(bytes),
        x: bench.poisoned(IDS.length * width),
      }
      await bench.run([kernel(arena, buffers)], { rows: IDS.length })
      const expected = padRows(takeRows(stored, [...IDS.subarray(0, rows)], d), d)
      expectClose((await bench.floats(buffers.x)).subarray(0, rows * width), expected, 0)
      await bench.expectUntouched(buffers.x, { from: 0, to: rows * width })
    })
  })
})
