import { describe, it } from 'vitest'
import { attentionBackwardKeyValueKernel } from '../../src/tuning/kernels/attention-backward-key-value.js'
import { attentionBackwardQueryKernel } from '../../src/tuning/kernels/attention-backward-query.js'
import { attentionSequencesKernel } from '../../src/tuning/kernels/attention-sequences.js'
import { attentionBackward } from '../../src/tuning/reference/attention-backward.js'
import { Prng } from '../fixtures/prng.js'
import { expectClose, gpuSuite, noise, planOf, range, takeRows } from '../gpu/testing.js'

const CAPACITY = 75

gpuSuite('attention of sequences and its gradients', (bench) => {
  describe.each([
    { heads: 6, kvHeads: 2, headDim: 20, unrolled: true },
    { heads: 2, kvHeads: 2, headDim: 4, unrolled: true },
    { heads: 3, kvHeads: 1, headDim: 64, unrolled: false },
    { heads: 2, kvHeads: 1, headDim: 256, unrolled: false },
  ])('$heads/$kvHeads heads of $headDim', (o) => {
    it.each([
      { rows: 74, length: 37 },
      { rows: 33, length: 33 },
      { rows: 3, length: 1 },
      { rows: 0, length: 5 },
    ])('$rows rows in sequences of $length', async ({ rows, length }) => {
      const prng = new Prng(rows + o.headDim)
      const [width, kvWidth] = [o.heads * o.headDim, o.kvHeads * o.headDim]
      const [q, dOut] = [noise(prng, CAPACITY * width, 2), noise(prng, CAPACITY * width)]
      const kv = noise(prng, CAPACITY * 2 * kvWidth)
      const [attend, backwardQuery, backwardKeyValue] = await Promise.all([
        attentionSequencesKernel(bench.gpu, o),
        attentionBackwardQueryKernel(bench.gpu, o),
        attentionBackwardKeyValueKernel(bench.gpu, o),
      ])
      const buffers = {
        plan: bench.upload(planOf({ rows, capacity: CAPACITY })),
        q: bench.upload(q),
        kv: bench.upload(kv.map((value, i) => (i < rows * 2 * kvWidth ? value : Number.NaN))),
        dOut: bench.upload(dOut),
        out: bench.poisoned(CAPACITY * width),
        logSumExp: bench.poisoned(CAPACITY * o.heads),
        dq: bench.poisoned(CAPACITY * width),
        delta: bench.poisoned(CAPACITY * o.heads),
        dkv: bench.poisoned(CAPACITY * 2 * kvWidth),
      }
      await bench.run(
        [attend, backwardQuery, backwardKeyValue].map((kernel) => kernel(bench.arena, buffers, { length })),
        { rows: CAPACITY },
      )
      const keys = (from: number) => takeRows(kv.subarray(from), range(rows), kvWidth, 2 * kvWidth)
      const queries = q.subarray(0, rows * width)
      const expected = attentionBackward(queries, keys(0), keys(kvWidth), dOut.subarray(0, rows * width), {
        ...o,
        length,
      })
      const check = async (buffer: GPUBuffer, values: ArrayLike<number>, what: string) => {
        expectClose((await bench.floats(buffer)).subarray(0, values.length), values, undefined, what)
        await bench.expectUntouched(buffer, { from: 0, to: values.length })
      }
      await check(buffers.out, expected.y, 'out')
      await check(buffers.logSumExp, expected.logSumExp, 'logSumExp')
      await check(buffers.dq, expected.dq, 'dq')
      const dkv = new Float64Array(rows * 2 * kvWidth)
      for (const row of range(rows)) {
        dkv.set(expected.dk.subarray(row * kvWidth, (row + 1) * kvWidth), row * 2 * kvWidth)
        dkv.set(expected.dv.subarray(row * kvWidth, (row + 1) * kvWidth), (row * 2 + 1) * kvWidth)
      }
      await check(buffers.dkv, dkv, 'dkv')
    })
  })
})
