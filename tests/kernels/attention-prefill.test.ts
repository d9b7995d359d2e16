import { describe, it } from 'vitest'
import { planSlot } from '../../shaders/snippets/plan.js'
import { attentionPrefillKernel } from '../../src/kernels/attention-prefill.js'
import { attention } from '../../src/kernels/reference/attention.js'
import { noisyKeysValues } from '../fixtures/keys-values.js'
import { Prng } from '../fixtures/prng.js'
import { activeRows, expectClose, gpuSuite, noise, planOf, range, takeRows } from '../gpu/testing.js'

const CAPACITY = 70
const VARIANTS = [
  { heads: 6, kvHeads: 2, headDim: 20, rows: 'active', unrolled: false },
  { heads: 6, kvHeads: 2, headDim: 20, rows: 'active', unrolled: true },
  { heads: 2, kvHeads: 2, headDim: 4, rows: 'all', unrolled: true },
  { heads: 3, kvHeads: 1, headDim: 40, rows: 'active', unrolled: false },
  { heads: 4, kvHeads: 2, headDim: 64, rows: 'active', unrolled: false },
  { heads: 6, kvHeads: 2, headDim: 20, rows: 'active', unrolled: false, holes: true },
  { heads: 4, kvHeads: 2, headDim: 64, rows: 'active', unrolled: true, holes: true },
  // The largest, with smaller tiles.
  { heads: 2, kvHeads: 1, headDim: 256, rows: 'active', unrolled: false },
  // One query to a lane, two, and two, three and four heads; large heads, which are not passed on.
  { heads: 2, kvHeads: 2, headDim: 64, rows: 'active', unrolled: false, passed: true },
  { heads: 2, kvHeads: 2, headDim: 20, rows: 'active', unrolled: false, passed: true, holes: true },
  { heads: 8, kvHeads: 2, headDim: 20, rows: 'all', unrolled: false, passed: true, holes: true },
  { heads: 6, kvHeads: 2, headDim: 4, rows: 'active', unrolled: false, passed: true },
  { heads: 8, kvHeads: 2, headDim: 16, rows: 'active', unrolled: false, passed: true },
  { heads: 2, kvHeads: 1, headDim: 128, rows: 'active', unrolled: false, passed: true },
  { heads: 2, kvHeads: 1, headDim: 256, rows: 'all', unrolled: false, passed: true },
] as const

/** Some that begin tiles, and all of a tile of either length, which begins at position 64. */
const HOLES = new Set([1, 2, 7, 31, 32, 33, ...range(14).map((i) => 64 + i)])
const NONE = new Set<number>()

const CHUNKS = [
  { name: 'every row of a first chunk', start: 0, mask: Array(CAPACITY).fill(1) },
  { name: 'some rows after a past', start: 9, mask: range(67).map((row) => (row % 2 === 1 || row > 60 ? 1 : 0)) },
  { name: 'the first row alone', start: 0, mask: range(37).map((row) => (row === 0 ? 1 : 0)) },
  { name: 'the last row alone after a past', start: 2, mask: range(37).map((row) => (row === 36 ? 1 : 0)) },
  { name: 'no row', start: 3, mask: Array(37).fill(0) },
]

gpuSuite('attention-prefill', (bench) => {
  describe.each(VARIANTS)(
    '$heads/$kvHeads heads of $headDim, $rows rows, unrolled: $unrolled, holes: $holes, passed: $passed',
    (variant) => {
      const { heads, kvHeads, headDim } = variant
      const holes = 'holes' in variant ? HOLES : NONE
      const prng = new Prng(headDim)
      const width = heads * headDim
      const kvWidth = kvHeads * headDim
      const q = noise(prng, CAPACITY * width, 2)
      const kv = noisyKeysValues(prng, CAPACITY + 10, holes, variant)

      it.for(CHUNKS)('$name', async ({ start, mask }, { skip }) => {
        const { gpu, arena } = bench
        const { subgroupSize } = gpu
        const passes = 'passed' in variant
        skip(passes && subgroupSize !== 4 && subgroupSize !== 8, 'subgroups have other sizes here')
        const from = variant.rows === 'active' ? activeRows(mask) : range(mask.length)
        const passedBy = passes ? (subgroupSize as 4 | 8) : undefined
        const kernel = await attentionPrefillKernel(gpu, { ...variant, passedBy })
        const positions = start + mask.length
        const buffers = {
          plan: bench.upload(planOf({ rows: mask.length, start, capacity: CAPACITY, execute: [[1], mask] })),
          q: bench.upload(q),
          // Positions that are not yet in the cache hold what is no number.
          kv: bench.upload(kv.map((value, i) => (i < positions * 2 * kvWidth ? value : Number.NaN))),
          out: bench.poisoned(CAPACITY * width),
        }
        await bench.run([kernel(arena, buffers, { slot: planSlot(1, CAPACITY) })], { rows: CAPACITY })
        const k = takeRows(kv, range(positions), kvWidth, 2 * kvWidth)
        const v = takeRows(kv.subarray(kvWidth), range(positions), kvWidth, 2 * kvWidth)
        const queries = q.subarray(0, from.length * width)
        const at = from.map((row) => start + row)
        const written = { from: 0, to: from.length * width }
        expectClose(
          (await bench.floats(buffers.out)).subarray(0, written.to),
          attention(queries, k, v, at, heads, kvHeads, headDim, holes),
        )
        await bench.expectUntouched(buffers.out, written)
      })
    },
  )
})
