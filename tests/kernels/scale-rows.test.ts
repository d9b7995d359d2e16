import { describe, it } from 'vitest'
import { scaleRows } from '../../src/kernels/reference/scale-rows.js'
import { scaleRowsKernel } from '../../src/kernels/scale-rows.js'
import { Prng } from '../fixtures/prng.js'
import { expectClose, gpuSuite, noise, padRows, planOf } from '../gpu/testing.js'

const CAPACITY = 5

gpuSuite('scale-rows', (bench) => {
  describe.each([3, 70, 333])('d %i', (d) => {
    const width = 4 * Math.ceil(d / 4)
    const x = padRows(noise(new Prng(d), CAPACITY * d, 2), d)

    it.each([0, 1, 4, CAPACITY])('scales %i rows and leaves the others', async (rows) => {
      const { gpu, arena } = bench
      const kernel = await scaleRowsKernel(gpu, { d4: width / 4 })
      const buffers = { plan: bench.upload(planOf({ rows, capacity: CAPACITY })), x: bench.inout(x) }
      await bench.run([kernel(arena, buffers, { scale: -1.37 })], { rows: CAPACITY })
      const scaled = scaleRows(x.subarray(0, rows * width), -1.37)
      expectClose(await bench.floats(buffers.x), [...scaled, ...x.subarray(rows * width)])
    })
  })
})
