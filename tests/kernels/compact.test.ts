import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compactKernel } from '../../src/kernels/compact.js'
import { compact } from '../../src/kernels/reference/compact.js'
import { Prng } from '../fixtures/prng.js'
import { gpuSuite, planOf } from '../gpu/testing.js'

const CAPACITY = 515

gpuSuite('compact', (bench) => {
  describe.each([1, 256] as const)('%i lanes', (lanes) => {
    describe.each([1, 2] as const)('%i sublayers at once', (count) => {
      /** Compacts sublayers 1 .. count of four; the others must stay as they are. */
      const check = async (masks: readonly (readonly boolean[])[]) => {
        const { gpu, arena } = bench
        const rows = masks[0]!.length
        const z = new Float32Array(4 * CAPACITY).fill(1) // rows beyond the chunk would execute
        masks.forEach((mask, i) => {
          mask.forEach((runs, row) => {
            z[(1 + i) * CAPACITY + row] = runs ? (row % 2 === 0 ? 0 : 1e-30) : row % 3 === 0 ? -1e-30 : Number.NaN
          })
        })
        const kernel = await compactKernel(gpu, { capacity: CAPACITY, count }, lanes)
        const untouched = [[], [], [], []]
        const before = planOf({ rows, start: 3, cursor: 4, capacity: CAPACITY, execute: untouched })
        const buffers = { z: bench.upload(z), plan: bench.inout(before) }
        await bench.run([kernel(arena, buffers, { sublayer: 1 })], { rows })
        const executed = untouched.map((_, sublayer) => masks[sublayer - 1] ?? [])
        const reference = executed.map((mask) => compact(mask.map(Number)))
        const expected = planOf({ rows, start: 3, cursor: 4, capacity: CAPACITY, execute: executed })
        expect(await bench.words(buffers.plan)).toEqual(expected)
        expect(reference.map((r) => r.count)).toEqual(executed.map((mask) => mask.filter(Boolean).length))
      }
      const masks = (rows: number, share: number) => {
        const prng = new Prng(rows)
        return Array.from({ length: count }, () => Array.from({ length: rows }, () => prng.uniform() < share))
      }

      it.each([0, 1, 255, 256, 257, 512, CAPACITY])('%i rows', async (rows) => {
        for (const share of [0, 0.3, 1]) await check(masks(rows, share))
      })

      it('any mask', async () => {
        const chunk = fc.integer({ min: 0, max: CAPACITY }).chain((rows) =>
          fc.array(fc.array(fc.boolean(), { minLength: rows, maxLength: rows, size: 'max' }), {
            minLength: count,
            maxLength: count,
          }),
        )
        await fc.assert(fc.asyncProperty(chunk, check), { numRuns: 40, seed: 1 })
      })
    })

    it.each([0, 1, 255, 256, 257, CAPACITY])('of %i rows, those that run and those that do not', async (rows) => {
      const prng = new Prng(rows)
      for (const share of [0, 0.3, 1]) {
        const mask = Array.from({ length: rows }, () => prng.uniform() < share)
        const z = new Float32Array(4 * CAPACITY).fill(1)
        for (const sublayer of [1, 2]) {
          mask.forEach((runs, row) => {
            z[sublayer * CAPACITY + row] = runs ? (row % 2 === 0 ? 0 : 1e-30) : row % 3 === 0 ? -1e-30 : Number.NaN
          })
        }
        const kernel = await compactKernel(bench.gpu, { capacity: CAPACITY, count: 2, complement: true }, lanes)
        const plan = (execute: readonly (readonly boolean[])[]) => planOf({ rows, capacity: CAPACITY, execute })
        const buffers = { z: bench.upload(z), plan: bench.inout(plan([[], [], [], []])) }
        await bench.run([kernel(bench.arena, buffers, { sublayer: 1 })], { rows })
        expect(await bench.words(buffers.plan)).toEqual(plan([[], mask, mask.map((runs) => !runs), []]))
      }
    })
  })
})
