import { describe, it } from 'vitest'
import { batchPositions, planSlot } from '../../shaders/snippets/plan.js'
import { rmsNorm } from '../../src/kernels/reference/rms-norm.js'
import { rope } from '../../src/kernels/reference/rope.js'
import { ropeRowsKernel } from '../../src/kernels/rope-rows.js'
import { ropeTable } from '../../src/model/rope.js'
import { Prng } from '../fixtures/prng.js'
import { activeRows, expectClose, gpuSuite, noise, planOf, range, takeRows, vectorTable } from '../gpu/testing.js'

const CAPACITY = 70
const START = 5
const CONTEXT = START + CAPACITY
const SOME = range(67).map((row) => (row % 3 === 1 || row > 60 ? 1 : 0))

const MASKS = [
  { name: 'every row of more than one group', mask: Array(CAPACITY).fill(1) },
  { name: 'some rows', mask: SOME },
  { name: 'one row', mask: range(9).map((row) => (row === 6 ? 1 : 0)) },
  { name: 'no row', mask: Array(9).fill(0) },
]

gpuSuite('rope-rows', (bench) => {
  const QUERIES = [
    { heads: 3, headDim: 20, qkNorm: false, rows: 'active' },
    { heads: 2, headDim: 64, qkNorm: true, rows: 'active' },
    { heads: 5, headDim: 4, qkNorm: true, rows: 'all' },
  ] as const
  describe.each(QUERIES)('query: $heads heads of $headDim, QK norm $qkNorm, $rows rows', (variant) => {
    const { heads, headDim, qkNorm } = variant
    const width = heads * headDim
    const eps = 1e-5
    const prng = new Prng(headDim)
    const q = noise(prng, CAPACITY * width, 2)
    const norm = noise(prng, headDim)
    const table = ropeTable({ kind: 'default', theta: 100 }, headDim, 0, CONTEXT)
    const vectors = vectorTable({ norm })

    it.each(MASKS)('turns $name where they stand', async ({ mask }) => {
      const { gpu, arena } = bench
      const isActive = variant.rows === 'active'
      const from = isActive ? activeRows(mask) : range(mask.length)
      const kernel = await ropeRowsKernel(gpu, {
        ...variant,
        kvHeads: 1,
        eps,
        target: 'query',
        positions: 'consecutive',
      })
      const buffers = {
        plan: bench.upload(planOf({ rows: mask.length, start: START, capacity: CAPACITY, execute: [[1], mask] })),
        rope: bench.upload(table),
        vectors: bench.upload(vectors.data),
        out: bench.inout(q),
      }
      await bench.run([kernel(arena, buffers, { slot: planSlot(1, CAPACITY), ...vectors.at })], { rows: CAPACITY })
      const before = q.subarray(0, from.length * width)
      const normed = qkNorm ? rmsNorm(before, norm, eps, from.length * heads, headDim) : before
      const angles = takeRows(
        table,
        from.map((row) => START + row),
        headDim,
      )
      const after = await bench.floats(buffers.out)
      expectClose(after.subarray(0, from.length * width), rope(normed, angles, from.length, heads, headDim))
      expectClose(after.subarray(from.length * width), q.subarray(from.length * width), 0, 'rows that are not active')
    })
  })

  it('turns the rows of a batch where each of them stands, with room between them', async () => {
    const { gpu, arena } = bench
    const [heads, headDim, stride] = [3, 20, 64]
    const positions = [9, 0, CONTEXT - 1]
    const table = ropeTable({ kind: 'default', theta: 100 }, headDim, 0, CONTEXT)
    const q = noise(new Prng(4), 4 * stride)
    const kernel = await ropeRowsKernel(gpu, {
      heads,
      kvHeads: 1,
      headDim,
      eps: 1,
      qkNorm: false,
      rows: 'all',
      target: 'query',
      positions: batchPositions(2, CAPACITY),
      stride,
    })
    const plan = planOf({ rows: 3, start: START, capacity: CAPACITY, execute: [[1], [1]] })
    const buffers = {
      plan: bench.upload(Uint32Array.from([...plan, ...positions])),
      rope: bench.upload(table),
      vectors: bench.upload(new Float32Array(4)),
      out: bench.inout(q),
    }
    await bench.run([kernel(arena, buffers, { slot: 0, norm: 0 })], { rows: 3 })
    const expected = Float64Array.from(q)
    for (const [row, position] of positions.entries()) {
      const turned = rope(q.subarray(row * stride), table.subarray(position * headDim), 1, heads, headDim)
      expected.set(turned, row * stride)
    }
    expectClose(await bench.floats(buffers.out), expected)
  })

  const KEY_VALUES = [
    { kvHeads: 2, headDim: 20, qkNorm: false },
    { kvHeads: 1, headDim: 40, qkNorm: true },
  ]
  describe.each(KEY_VALUES)('key-value: $kvHeads heads of $headDim, QK norm $qkNorm', (variant) => {
    const { kvHeads, headDim, qkNorm } = variant
    const half = kvHeads * headDim
    const eps = 1e-5
    const prng = new Prng(headDim)
    const source = noise(prng, CAPACITY * 2 * half, 2)
    const norm = noise(prng, headDim)
    const table = ropeTable({ kind: 'default', theta: 100 }, headDim, 0, CONTEXT)
    const vectors = vectorTable({ norm })

    it.each([0, 1, 65, CAPACITY])('appends %i rows to the cache', async (rows) => {
      const { gpu, arena } = bench
      const kernel = await ropeRowsKernel(gpu, {
        ...variant,
        heads: 7,
        eps,
        rows: 'all',
        target: 'key-value',
        positions: 'consecutive',
      })
      const buffers = {
        plan: bench.upload(planOf({ rows, start: START, capacity: CAPACITY })),
        rope: bench.upload(table),
        vectors: bench.upload(vectors.data),
        source: bench.upload(source),
        out: bench.poisoned(CONTEXT * 2 * half),
      }
      await bench.run([kernel(arena, buffers, { slot: 0, ...vectors.at })], { rows: CAPACITY })
      const k = takeRows(source, range(rows), half, 2 * half)
      const v = takeRows(source.subarray(half), range(rows), half, 2 * half)
      const normed = qkNorm ? rmsNorm(k, norm, eps, rows * kvHeads, headDim) : k
      const angles = table.subarray(START * headDim, (START + rows) * headDim)
      const keys = rope(normed, angles, rows, kvHeads, headDim)
      const written = { from: START * 2 * half, to: (START + rows) * 2 * half }
      const cache = (await bench.floats(buffers.out)).subarray(written.from, written.to)
      expectClose(takeRows(cache, range(rows), half, 2 * half), keys, undefined, 'keys')
      expectClose(takeRows(cache.subarray(half), range(rows), half, 2 * half), v, 0, 'values')
      await bench.expectUntouched(buffers.out, written)
    })
  })
})
