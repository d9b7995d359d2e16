import { describe, expect, it } from 'vitest'
import { MOST_CACHES } from '../../shaders/attention-decode.wgsl.js'
import { batchPositions } from '../../shaders/snippets/plan.js'
import { appendRowsKernel } from '../../src/kernels/append-rows.js'
import { attentionDecodeKernel } from '../../src/kernels/attention-decode.js'
import { mergeSplitsKernel } from '../../src/kernels/merge-splits.js'
import { attention } from '../../src/kernels/reference/attention.js'
import { rmsNorm } from '../../src/kernels/reference/rms-norm.js'
import { rope } from '../../src/kernels/reference/rope.js'
import { ropeTable } from '../../src/model/rope.js'
import { Prng } from '../fixtures/prng.js'
import { expectClose, gpuSuite, noise, POISON, planOf, range, takeRows, vectorTable } from '../gpu/testing.js'

// Rows of a batch, each with a cache of its own, several of which a dispatch binds.

const CAPACITY = 6
/** By row of the batch. */
const POSITIONS = [0, 63, 64, 200, 7, 299]
const CONTEXT = Math.max(...POSITIONS) + 1
/** Of the largest group each cache has code of its own, which takes long to compile. */
const SIZES = [
  {
    ...{ heads: 6, kvHeads: 2, headDim: 20, qkNorm: true, tile: 64 },
    groups: [[4], [5, 1]],
  },
  // More pairs than a group has invocations.
  {
    ...{ heads: 2, kvHeads: 2, headDim: 132, qkNorm: false, tile: 64 },
    groups: [[2]],
  },
  {
    ...{ heads: 2, kvHeads: 1, headDim: 12, qkNorm: false, tile: 64 },
    groups: [[3, 5, 0, 2]],
  },
]

const padded = (values: number) => 64 * Math.ceil(values / 64)

gpuSuite('caches of a batch', (bench) => {
  it('are as many as the limits of every device allow', () => {
    expect(MOST_CACHES).toBe(Math.max(...SIZES.flatMap(({ groups }) => groups.map((rows) => rows.length))))
  })

  describe.each(SIZES)('$kvHeads heads of $headDim, QK norm $qkNorm', (size) => {
    const { heads, kvHeads, headDim, qkNorm } = size
    const prng = new Prng(headDim)
    const kvWidth = kvHeads * headDim
    const { firstWord } = batchPositions(1, CAPACITY)
    const plan = () =>
      bench.upload(Uint32Array.from([...planOf({ rows: CAPACITY, capacity: CAPACITY, execute: [[1]] }), ...POSITIONS]))

    describe.each(size.groups.map((rows) => ({ rows })))('rows $rows', ({ rows }) => {
      it('get their keys and values', async () => {
        const { gpu, arena } = bench
        const stride = padded(2 * kvWidth)
        const source = noise(prng, CAPACITY * stride)
        const norm = noise(prng, headDim)
        const table = ropeTable({ kind: 'default', theta: 100 }, headDim, 0, CONTEXT)
        const vectors = vectorTable({ norm })
        const eps = 1e-5
        const options = { kvHeads, headDim, eps, qkNorm, caches: rows.length, firstWord, stride }
        const kernel = await appendRowsKernel(gpu, options)
        const buffers = {
          plan: plan(),
          rope: bench.upload(table),
          vectors: bench.upload(vectors.data),
          source: bench.upload(source),
          caches: rows.map(() => bench.poisoned(CONTEXT * 2 * kvWidth)),
        }
        await bench.run([kernel(arena, buffers, { ...vectors.at, rows })])
        for (const [c, row] of rows.entries()) {
          const position = POSITIONS[row]!
          const from = source.subarray(row * stride, row * stride + 2 * kvWidth)
          const keys = from.subarray(0, kvWidth)
          const angles = table.subarray(position * headDim, (position + 1) * headDim)
          const turned = rope(qkNorm ? rmsNorm(keys, norm, eps, kvHeads, headDim) : keys, angles, 1, kvHeads, headDim)
          const after = await bench.floats(buffers.caches[c]!)
          const at = position * 2 * kvWidth
          expectClose(after.subarray(at, at + 2 * kvWidth), [...turned, ...from.subarray(kvWidth)])
          const words = new Uint32Array(after.buffer)
          expect(words.filter((word, i) => word !== POISON && (i < at || i >= at + 2 * kvWidth))).toHaveLength(0)
        }
      })

      it.each([
        { name: 'all of them', skips: [] },
        { name: 'those that execute', skips: rows.slice(0, 1) },
      ])('attend: $name', async ({ skips }) => {
        const { gpu, arena } = bench
        const splits = { most: 3, tile: size.tile, least: size.tile }
        const width = heads * headDim
        const [queryStride, sumsStride] = [padded(width), padded(heads * splits.most * (headDim + 2))]
        const obeys = skips.length > 0 ? 'margin' : 'nothing'
        const attend = await attentionDecodeKernel(gpu, {
          ...size,
          splits,
          obeys,
          batch: { caches: rows.length, firstWord, queryStride, sumsStride },
        })
        const positions = { firstWord }
        const merge = await mergeSplitsKernel(gpu, { heads, headDim, splits, positions, stride: sumsStride })
        const q = noise(prng, CAPACITY * queryStride, 2)
        const caches = rows.map((row) => {
          const cache = noise(prng, CONTEXT * 2 * kvWidth)
          return cache.fill(Number.NaN, (POSITIONS[row]! + 1) * 2 * kvWidth)
        })
        const isSkipped = (row: number) => skips.includes(row)
        const buffers = {
          plan: plan(),
          q: bench.upload(q),
          caches: caches.map((cache) => bench.upload(cache)),
          splitSums: bench.poisoned(CAPACITY * sumsStride),
          // Behind another sublayer's margins; a tie executes.
          z: bench.upload(
            Float32Array.from([Number.NaN, ...range(CAPACITY).map((row) => (isSkipped(row) ? -1e-6 : 0))]),
          ),
          out: bench.poisoned(CAPACITY * width),
        }
        const bound = [attend(arena, buffers, { slot: 0, z: 1, rows }), merge(arena, buffers)]
        await bench.run(bound, { rows: CAPACITY, context: CONTEXT })
        const sums = await bench.words(buffers.splitSums)
        const out = await bench.floats(buffers.out)
        for (const row of range(CAPACITY)) {
          const c = rows.indexOf(row)
          if (c < 0 || isSkipped(row)) {
            const touched = sums.subarray(row * sumsStride, (row + 1) * sumsStride).filter((word) => word !== POISON)
            expect(touched, `row ${row}`).toHaveLength(0)
            continue
          }
          const seen = range(POSITIONS[row]! + 1)
          const k = takeRows(caches[c]!, seen, kvWidth, 2 * kvWidth)
          const v = takeRows(caches[c]!.subarray(kvWidth), seen, kvWidth, 2 * kvWidth)
          const query = q.subarray(row * queryStride, row * queryStride + width)
          const expected = attention(query, k, v, [POSITIONS[row]!], heads, kvHeads, headDim)
          expectClose(out.subarray(row * width, (row + 1) * width), expected)
        }
      })
    })
  })
})
