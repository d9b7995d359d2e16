import { describe, expect, it } from 'vitest'
import { planSlot } from '../../shaders/snippets/plan.js'
import { rmsNorm } from '../../src/kernels/reference/rms-norm.js'
import { routerScores } from '../../src/kernels/reference/router.js'
import { routerLinearKernel } from '../../src/kernels/router-linear.js'
import { routerTwoLayerKernel } from '../../src/kernels/router-two-layer.js'
import { routerBlocks } from '../../src/runtime/router-arena.js'
import type { LinearRouter, TwoLayerRouter } from '../../src/skip/router-weights.js'
import { Prng } from '../fixtures/prng.js'
import { expectClose, gpuSuite, noise, POISON, padRows, planOf, range, vectorTable } from '../gpu/testing.js'

/** More than a group has where each invocation takes one. */
const ROWS = 10
const CAPACITY = 12
const LAYERS = 2
const EPS = 1e-5

gpuSuite('routers', (bench) => {
  const VARIANTS = [
    { kind: 'linear', d: 70, width: 0, lanes: 8 },
    { kind: 'linear', d: 333, width: 0, lanes: 8 },
    { kind: 'linear', d: 333, width: 0, lanes: 1 },
    { kind: 'linear', d: 333, width: 0, lanes: 64 },
    { kind: 'two-layer', d: 70, width: 17, lanes: 8 },
    { kind: 'two-layer', d: 70, width: 17, lanes: 1 },
    { kind: 'two-layer', d: 64, width: 70, lanes: 64 },
  ] as const

  describe.each(VARIANTS)('$kind, d $d, width $width, $lanes invocations', ({ kind, d, width, lanes }) => {
    const prng = new Prng(d)
    const x = noise(prng, CAPACITY * d)
    const thresholds = Float32Array.of(0, 0.25, -0.75, 1.5)
    const makeRouter = (sublayer: number): LinearRouter & TwoLayerRouter => {
      const router = {
        weight: noise(prng, width || d, 1 / Math.sqrt(width || d)),
        // Row 0 is all zeros. Its score is the bias, and that is the threshold: an exact tie.
        bias: thresholds[sublayer]!,
        hiddenWeight: noise(prng, width * d, 1 / Math.sqrt(d)),
        hiddenBias: noise(prng, width).map((v) => (sublayer === 0 ? -Math.abs(v) : v)),
      }
      return (kind === 'linear' ? { weight: router.weight, bias: router.bias } : router) as LinearRouter &
        TwoLayerRouter
    }
    x.fill(0, 0, d)
    const weight = noise(prng, d)
    const vectors = vectorTable({ other: noise(prng, 9), weight })
    const routers = range(2 * LAYERS).map(makeRouter)
    const blocks = routerBlocks({
      kind,
      width,
      attention: routers.filter((_, s) => s % 2 === 0),
      mlp: routers.filter((_, s) => s % 2 === 1),
    } as unknown as Parameters<typeof routerBlocks>[0])

    const padded = 4 * Math.ceil(d / 4)
    const run = async (o: { count: 1 | 2; sublayer: number; rows: number; single: boolean; normed?: boolean }) => {
      const { gpu, arena } = bench
      const capacity = o.single ? 1 : CAPACITY
      const norm = o.normed ? { d, eps: EPS } : undefined
      const options = { d4: Math.ceil(d / 4), capacity, count: o.count, writesPlan: o.single, norm }
      const kernel =
        kind === 'linear'
          ? await routerLinearKernel(gpu, options, lanes)
          : await routerTwoLayerKernel(gpu, { ...options, width }, lanes)
      const before = planOf({ rows: o.rows, start: 6, capacity, execute: range(2 * LAYERS).map(() => [1]) })
      const buffers = {
        plan: bench.inout(before),
        // A single row that is normalised is one that is not all zeros.
        x: bench.upload(padRows(o.normed && o.single ? x.subarray(d) : x, d)),
        vectors: bench.upload(vectors.data),
        u: bench.poisoned(CAPACITY * padded),
        routers: bench.upload(blocks.data),
        thresholds: bench.upload(thresholds),
        z: bench.poisoned(2 * LAYERS * capacity),
      }
      const { stride } = blocks
      const params = { sublayer: o.sublayer, weights: o.sublayer * stride, stride, norm: vectors.at.weight }
      await bench.run([kernel(arena, buffers, params)], { rows: Math.max(1, o.rows) })
      const u = await bench.floats(buffers.u)
      return { z: await bench.floats(buffers.z), plan: await bench.words(buffers.plan), before, u, buffers }
    }
    const margins = (sublayer: number, rows: number) =>
      routerScores(x, routers[sublayer]!, rows, d).map((score) => score - thresholds[sublayer]!)

    it.each([
      { sublayer: 2, count: 2 },
      { sublayer: 1, count: 1 },
    ] as const)('scores a chunk: $count from sublayer $sublayer', async ({ sublayer, count }) => {
      const { z, plan, before } = await run({ count, sublayer, rows: ROWS, single: false })
      for (const s of range(count, sublayer)) {
        expectClose(z.subarray(s * CAPACITY, s * CAPACITY + ROWS), margins(s, ROWS))
      }
      const words = new Uint32Array(z.buffer)
      const isOutput = (i: number) => {
        const s = Math.floor(i / CAPACITY)
        return s >= sublayer && s < sublayer + count && i % CAPACITY < ROWS
      }
      expect(range(words.length).filter((i) => !isOutput(i) && words[i] !== POISON)).toEqual([])
      expect(plan).toEqual(before)
    })

    it('writes the execute word of a single row', async () => {
      const { z, plan, before } = await run({ count: 2, sublayer: 0, rows: 1, single: true })
      for (const s of [0, 1]) {
        expectClose(z.subarray(s, s + 1), margins(s, 1))
        before.set([z[s]! >= 0 ? 1 : 0, 0], planSlot(s, 1))
      }
      expect(plan).toEqual(before)
    })

    it('normalises a single row on the way', async () => {
      const { z, plan, before, u } = await run({ count: 2, sublayer: 2, rows: 1, single: true, normed: true })
      for (const s of [2, 3]) {
        expectClose(z.subarray(s, s + 1), margins(s, 2).subarray(1))
        before.set([z[s]! >= 0 ? 1 : 0, 0], planSlot(s, 1))
      }
      expect(plan).toEqual(before)
      expectClose(u.subarray(0, d), rmsNorm(x.subarray(d), weight, EPS, 1, d))
    })

    it.each([1, 2] as const)('normalises the rows of a chunk on the way to %i sublayers', async (count) => {
      const { z, buffers, u } = await run({ count, sublayer: 2, rows: ROWS, single: false, normed: true })
      for (const s of range(count, 2)) {
        expectClose(z.subarray(s * CAPACITY, s * CAPACITY + ROWS), margins(s, ROWS))
      }
      expectClose(u.subarray(0, ROWS * padded), padRows(rmsNorm(x, weight, EPS, ROWS, d), d))
      await bench.expectUntouched(buffers.u, { from: 0, to: ROWS * padded })
    })

    it('executes an exact tie', async () => {
      // Linear routers see x = 0; for the others the hidden units of sublayer 0 stay below zero at x = 0.
      const { z, plan } = await run({ count: 2, sublayer: 0, rows: 1, single: true })
      expect(z[0]).toBe(0)
      expect(plan[planSlot(0, 1)]).toBe(1)
    })

    it('executes nothing after the end', async () => {
      const { plan, before } = await run({ count: 2, sublayer: 0, rows: 0, single: true })
      for (const s of [0, 1]) before.set([0, 0], planSlot(s, 1))
      expect(plan).toEqual(before)
    })
  })
})
