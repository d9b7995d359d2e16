import { it } from 'vitest'
import { readSumKernel } from '../../src/kernels/read-sum.js'
import { Prng } from '../fixtures/prng.js'
import { expectClose, gpuSuite, noise } from '../gpu/testing.js'

gpuSuite('read-sum', (bench) => {
  it.each([
    [1, 1],
    [3, 5],
  ])('reads every value once: %i groups, %i vectors each', async (groups, perInvocation) => {
    const values = noise(new Prng(1), 4 * groups * 256 * perInvocation)
    const kernel = await readSumKernel(bench.gpu, { groups, perInvocation })
    const sums = bench.poisoned(groups * 256)
    await bench.run([kernel(bench.arena, { source: bench.upload(values), sums })])
    const found = await bench.floats(sums)
    const expected = new Float64Array(groups * 256)
    values.forEach((value, i) => {
      expected[Math.floor(i / 4) % expected.length]! += value
    })
    expectClose(found, expected)
  })
})
