import { it } from 'vitest'
import { rmsNormBackwardKernel } from '../../src/tuning/kernels/rms-norm-backward.js'
import { rmsNormBackward } from '../../src/tuning/reference/rms-norm-backward.js'
import { Prng } from '../fixtures/prng.js'
import { expectClose, gpuSuite, noise, padRows, planOf, vectorTable } from '../gpu/testing.js'

const CAPACITY = 5

gpuSuite('rms-norm-backward', (bench) => {
  it.each([
    { d: 70, eps: 1e-6, rows: 5 },
    { d: 333, eps: 0.5, rows: 3 },
    { d: 4, eps: 1e-5, rows: 1 },
    { d: 70, eps: 1e-5, rows: 0 },
  ])('$rows rows of $d', async ({ d, eps, rows }) => {
    const width = 4 * Math.ceil(d / 4)
    const prng = new Prng(d)
    const x = noise(prng, CAPACITY * d, 2)
    x.fill(1e-2, 0, d) // here eps counts
    const [norm, dy, before] = [noise(prng, d), noise(prng, CAPACITY * d), noise(prng, CAPACITY * d)]
    const vectors = vectorTable({ norm })
    const kernel = await rmsNormBackwardKernel(bench.gpu, { d, d4: width / 4, eps })
    const buffers = {
      plan: bench.upload(planOf({ rows, capacity: CAPACITY })),
      x: bench.upload(padRows(x, d)),
      vectors: bench.upload(vectors.data),
      dy: bench.upload(padRows(dy, d)),
      dx: bench.inout(padRows(before, d)),
    }
    await bench.run([kernel(bench.arena, buffers, vectors.at)], { rows: CAPACITY })
    const gradient = rmsNormBackward(x, norm, dy, eps, rows, d)
    const expected = before.map((value, i) => value + (gradient[i] ?? 0))
    expectClose(await bench.floats(buffers.dx), padRows(expected, d))
  })
})
