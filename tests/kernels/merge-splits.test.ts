import { describe, it } from 'vitest'
import { batchPositions } from '../../shaders/snippets/plan.js'
import { mergeSplitsKernel } from '../../src/kernels/merge-splits.js'
import { mergeSplits } from '../../src/kernels/reference/merge-splits.js'
import { Prng } from '../fixtures/prng.js'
import { expectClose, gpuSuite, noise, planOf, range } from '../gpu/testing.js'

const CAPACITY = 5

gpuSuite('merge-splits', (bench) => {
  describe.each([
    { heads: 3, headDim: 20, splits: { most: 4, tile: 64, least: 64 } },
    // More values than a group has invocations for, parts beyond one tile.
    { heads: 8, headDim: 64, splits: { most: 2, tile: 64, least: 128 } },
    { heads: 1, headDim: 4, splits: { most: 1, tile: 256, least: 512 } },
  ])('$heads heads of $headDim in at most $splits.most parts', ({ heads, headDim, splits }) => {
    const { most, tile, least } = splits
    const words = heads * most * (headDim + 2)
    const stride = 64 * Math.ceil(words / 64)
    const prng = new Prng(headDim)

    it.each([
      { rows: 1, positions: [0] },
      { rows: 4, positions: [63, 64, 300, 1] },
      { rows: 0, positions: [5] },
    ])('combines $rows rows at $positions', async ({ rows, positions }) => {
      const { gpu, arena } = bench
      const kernel = await mergeSplitsKernel(gpu, {
        heads,
        headDim,
        splits,
        positions: batchPositions(1, CAPACITY),
        stride,
      })
      // Parts that a row has not, and what is behind the last part, must not be read.
      const all = new Float32Array(CAPACITY * stride).fill(Number.NaN)
      const expected = new Float64Array(rows * heads * headDim)
      for (const row of range(rows)) {
        const length = positions[row]! + 1
        const used = Math.ceil(length / Math.max(least, tile * Math.ceil(Math.ceil(length / tile) / most)))
        for (const head of range(heads)) {
          const sums = range(used).map(() => noise(prng, headDim, 3))
          const statistics = range(used).map(() => [6 * prng.uniform() - 3, 1 + 20 * prng.uniform()] as const)
          for (const part of range(used)) {
            const cell = head * most + part
            all.set(sums[part]!, row * stride + cell * headDim)
            all.set(statistics[part]!, row * stride + heads * most * headDim + 2 * cell)
          }
          expected.set(mergeSplits(sums, statistics), (row * heads + head) * headDim)
        }
      }
      const plan = planOf({ rows, capacity: CAPACITY, execute: [[1]] })
      const buffers = {
        plan: bench.upload(Uint32Array.from([...plan, ...positions])),
        splitSums: bench.upload(all),
        out: bench.poisoned(CAPACITY * heads * headDim),
      }
      await bench.run([kernel(arena, buffers)], { rows: CAPACITY })
      const written = { from: 0, to: expected.length }
      expectClose((await bench.floats(buffers.out)).subarray(0, written.to), expected)
      await bench.expectUntouched(buffers.out, written)
    })
  })
})
