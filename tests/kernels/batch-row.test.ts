import { expect, it } from 'vitest'
import { batchPositions } from '../../shaders/snippets/plan.js'
import { batchRowKernel } from '../../src/kernels/batch-row.js'
import { gpuSuite, planOf } from '../gpu/testing.js'

const CAPACITY = 5

gpuSuite('batch-row', (bench) => {
  it.each([0, 1])('brings token and position of a sequence, whose rows are %i, into its row', async (rows) => {
    const { gpu, arena } = bench
    const kernel = await batchRowKernel(gpu, batchPositions(2, CAPACITY))
    const plan = planOf({ rows: 3, capacity: CAPACITY, execute: [[1], [1]] })
    const before = Uint32Array.from([...plan, 100, 101, 102])
    const buffers = {
      own: bench.upload(planOf({ rows, start: 77, cursor: 4, capacity: CAPACITY })),
      ownIds: bench.upload(Uint32Array.of(31, 32)),
      plan: bench.inout(before),
      ids: bench.inout(Uint32Array.of(1, 2, 3)),
    }
    await bench.run([kernel(arena, buffers, { row: 1 })])
    expect([...(await bench.words(buffers.plan))]).toEqual([...plan, 100, 77, 102])
    expect([...(await bench.words(buffers.ids))]).toEqual([1, 31, 3])
  })
})
