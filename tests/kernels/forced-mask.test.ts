import { describe, expect, it } from 'vitest'
import { batchPositions, planSlot } from '../../shaders/snippets/plan.js'
import { forcedMaskKernel } from '../../src/kernels/forced-mask.js'
import { pcgHash } from '../../src/kernels/reference/random.js'
import { rmsNorm } from '../../src/kernels/reference/rms-norm.js'
import { Prng } from '../fixtures/prng.js'
import { expectClose, gpuSuite, noise, padRows, planOf, range, vectorTable } from '../gpu/testing.js'

const ROWS = 70
const CAPACITY = 72
const START = 11
const SEED = 0xfedcba98
const D = 70
const common = { capacity: CAPACITY, d4: Math.ceil(D / 4) }
const SHARES = Float32Array.of(0.25, 0.5, 0, 1)

/** The lot of a sublayer at a position, in [0, 1), minus the share to skip, in f32 as on the GPU. */
const margin = (sublayer: number, position: number) =>
  Math.fround((pcgHash(SEED, position, sublayer) >>> 8) / 2 ** 24 - SHARES[sublayer]!)

gpuSuite('forced-mask', (bench) => {
  const prng = new Prng(D)
  const x = noise(prng, ROWS * D)
  const weight = noise(prng, D)
  const vectors = vectorTable({ other: noise(prng, 9), weight })
  const norm = { d: D, eps: 1e-5 }
  const width = 4 * common.d4

  const chunk = async (sublayer: number, count: 1 | 2, rows: number, normed = false) => {
    const { gpu, arena } = bench
    const kernel = await forcedMaskKernel(gpu, {
      ...common,
      count,
      writesPlan: false,
      positions: 'consecutive',
      norm: normed ? norm : undefined,
    })
    const buffers = {
      ...{ plan: bench.upload(planOf({ rows, start: START, capacity: CAPACITY })), thresholds: bench.upload(SHARES) },
      ...{ x: bench.upload(padRows(x, D)), vectors: bench.upload(vectors.data) },
      z: bench.poisoned(4 * CAPACITY),
      u: bench.poisoned(CAPACITY * width),
    }
    await bench.run([kernel(arena, buffers, { sublayer, seed: SEED, norm: vectors.at.weight })], { rows: ROWS })
    return buffers
  }
  const prefill = async (sublayer: number, count: 1 | 2, rows: number) => (await chunk(sublayer, count, rows)).z

  it('normalises the rows of a chunk on the way', async () => {
    const { z, u } = await chunk(0, 2, 65, true)
    expect(await bench.words(z)).toEqual(await bench.words(await prefill(0, 2, 65)))
    expectClose((await bench.floats(u)).subarray(0, 65 * width), padRows(rmsNorm(x, weight, norm.eps, 65, D), D))
    await bench.expectUntouched(u, { from: 0, to: 65 * width })
  })

  it('scores the rows of a chunk as the CPU does', async () => {
    const both = await bench.floats(await prefill(0, 2, ROWS))
    const one = await bench.floats(await prefill(3, 1, ROWS))
    for (const row of range(ROWS)) {
      expect(both[row], `row ${row}`).toBe(margin(0, START + row))
      expect(both[CAPACITY + row], `row ${row}`).toBe(margin(1, START + row))
      expect(one[3 * CAPACITY + row], `row ${row}`).toBe(margin(3, START + row))
    }
  })

  it('scores the rows of a batch where each of them stands', async () => {
    const { gpu, arena } = bench
    const positions = [70, 3, 0, 1000]
    const kernel = await forcedMaskKernel(gpu, {
      ...common,
      count: 2,
      writesPlan: false,
      positions: batchPositions(4, CAPACITY),
    })
    const plan = planOf({ rows: 4, start: START, capacity: CAPACITY, execute: [[1], [1], [1], [1]] })
    const buffers = {
      plan: bench.upload(Uint32Array.from([...plan, ...positions])),
      thresholds: bench.upload(SHARES),
      z: bench.poisoned(4 * CAPACITY),
    }
    await bench.run([kernel(arena, buffers, { sublayer: 0, seed: SEED, norm: 0 })], { rows: 4 })
    const z = await bench.floats(buffers.z)
    for (const [row, position] of positions.entries()) {
      expect(z[row]).toBe(margin(0, position))
      expect(z[CAPACITY + row]).toBe(margin(1, position))
    }
  })

  it('skips about the share that it should, nothing for 0 and everything for 1', async () => {
    const executed = (z: Float32Array, sublayer: number) =>
      range(ROWS).filter((row) => z[sublayer * CAPACITY + row]! >= 0).length
    const first = await bench.floats(await prefill(0, 2, ROWS))
    const last = await bench.floats(await prefill(2, 2, ROWS))
    expect(Math.abs(executed(first, 0) / ROWS - 0.75)).toBeLessThan(0.15)
    expect(Math.abs(executed(first, 1) / ROWS - 0.5)).toBeLessThan(0.15)
    expect(executed(last, 2)).toBe(ROWS)
    expect(executed(last, 3)).toBe(0)
  })

  it('writes no row beyond the chunk', async () => {
    await bench.expectUntouched(await prefill(1, 1, 0))
    await bench.expectUntouched(await prefill(1, 1, 5), { from: CAPACITY, to: CAPACITY + 5 })
  })

  describe('a single row', () => {
    const decode = async (position: number, rows: number, count: 1 | 2, normed = false) => {
      const { gpu, arena } = bench
      const own = normed ? norm : undefined
      const options = { ...common, capacity: 1, norm: own, count, writesPlan: true, positions: 'consecutive' } as const
      const kernel = await forcedMaskKernel(gpu, options)
      const before = planOf({ rows, start: position, capacity: 1, execute: [[1], [1], [1], [1]] })
      const buffers = {
        ...{ plan: bench.inout(before), thresholds: bench.upload(SHARES), z: bench.poisoned(4) },
        ...{
          x: bench.upload(padRows(x.subarray(0, D), D)),
          vectors: bench.upload(vectors.data),
          u: bench.poisoned(width),
        },
      }
      await bench.run([kernel(arena, buffers, { sublayer: 2 - count, seed: SEED, norm: vectors.at.weight })])
      const u = await bench.floats(buffers.u)
      return { plan: await bench.words(buffers.plan), z: await bench.floats(buffers.z), before, u }
    }

    it('is normalised on the way', async () => {
      const plain = await decode(9, 1, 2)
      const { plan, z, u } = await decode(9, 1, 2, true)
      expect({ plan, z }).toEqual({ plan: plain.plan, z: plain.z })
      expectClose(u.subarray(0, D), rmsNorm(x, weight, norm.eps, 1, D))
    })

    it('gets the same margin as in a chunk, and its execute word', async () => {
      for (const position of range(9, START)) {
        const { plan, z, before } = await decode(position, 1, 2)
        for (const sublayer of [0, 1]) {
          expect(z[sublayer]).toBe(margin(sublayer, position))
          before.set([margin(sublayer, position) >= 0 ? 1 : 0, 0], planSlot(sublayer, 1))
        }
        expect(plan).toEqual(before)
      }
    })

    it('executes nothing after the end', async () => {
      const { plan, before } = await decode(START, 0, 1)
      before.set([0, 0], planSlot(1, 1))
      expect(plan).toEqual(before)
    })
  })
})
