import { describe, it } from 'vitest'
import { batchPositions, planWords } from '../../shaders/snippets/plan.js'
import { ropeTable } from '../../src/model/rope.js'
import { ropeBackwardKernel } from '../../src/tuning/kernels/rope-backward.js'
import { rmsNormBackward } from '../../src/tuning/reference/rms-norm-backward.js'
import { ropeBackward } from '../../src/tuning/reference/rope-backward.js'
import { Prng } from '../fixtures/prng.js'
import { expectClose, gpuSuite, noise, planOf, takeRows, vectorTable } from '../gpu/testing.js'

const CAPACITY = 70
const LENGTH = 13

gpuSuite('rope-backward', (bench) => {
  describe.each([
    { heads: 3, headDim: 20, qkNorm: false, more: 24 },
    { heads: 2, headDim: 4, qkNorm: true, more: 0 },
    { heads: 3, headDim: 12, qkNorm: true, more: 8 },
  ])('$heads heads of $headDim, qkNorm: $qkNorm', ({ heads, headDim, qkNorm, more }) => {
    it.each([0, 1, 67])('%i rows', async (rows) => {
      const prng = new Prng(headDim)
      const stride = heads * headDim + more
      const [dy, source, norm] = [noise(prng, CAPACITY * stride), noise(prng, CAPACITY * stride), noise(prng, headDim)]
      const table = ropeTable({ kind: 'default', theta: 100 }, headDim, 0, LENGTH)
      const vectors = vectorTable({ norm })
      const kernel = await ropeBackwardKernel(bench.gpu, {
        heads,
        headDim,
        eps: 1e-5,
        qkNorm,
        positions: batchPositions(0, CAPACITY),
        stride,
      })
      const plan = new Uint32Array(planWords(0, CAPACITY) + CAPACITY).map(
        (_, i) => (i - planWords(0, CAPACITY)) % LENGTH,
      )
      plan.set(planOf({ rows, capacity: CAPACITY }))
      const buffers = {
        plan: bench.upload(plan),
        rope: bench.upload(table),
        vectors: bench.upload(vectors.data),
        source: bench.upload(source),
        dx: bench.inout(dy),
      }
      await bench.run([kernel(bench.arena, buffers, vectors.at)], { rows: CAPACITY })

      const all = Array.from({ length: rows }, (_, row) => row)
      const angles = takeRows(
        table,
        all.map((row) => row % LENGTH),
        headDim,
      )
      const turned = ropeBackward(takeRows(dy, all, heads * headDim, stride), angles, rows, heads, headDim)
      const raw = takeRows(source, all, heads * headDim, stride)
      const gradient = qkNorm ? rmsNormBackward(raw, norm, turned, 1e-5, rows * heads, headDim) : turned
      const expected = dy.slice()
      for (const row of all) {
        expected.set(gradient.subarray(row * heads * headDim, (row + 1) * heads * headDim), row * stride)
      }
      expectClose(await bench.floats(buffers.dx), expected)
    })
  })
})
