import { it } from 'vitest'
import { gumbel } from '../../src/kernels/reference/sampling.js'
import { gumbelNoiseKernel } from '../../src/tuning/kernels/gumbel-noise.js'
import { expectClose, gpuSuite, range } from '../gpu/testing.js'

gpuSuite('gumbel-noise', (bench) => {
  it.each([1, 130, 5000])('%i values', async (count) => {
    const kernel = await gumbelNoiseKernel(bench.gpu, count)
    const noise = bench.poisoned(count)
    await bench.run([kernel(bench.arena, { seed: bench.upload(Uint32Array.of(7, 3)), noise })])
    expectClose(
      await bench.floats(noise),
      range(count).map((i) => gumbel(7, 3, i)),
    )
  })
})
