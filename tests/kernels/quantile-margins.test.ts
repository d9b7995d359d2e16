import { expect, it } from 'vitest'
import { TIE_MARGIN } from '../../shaders/gate-scores.wgsl.js'
import { quantileMarginsKernel } from '../../src/kernels/quantile-margins.js'
import { quantile } from '../../src/skip/quantile.js'
import { Prng } from '../fixtures/prng.js'
import { expectClose, gpuSuite, noise, planOf, range } from '../gpu/testing.js'

const CAPACITY = 600
const SUBLAYERS = 3
const SUBLAYER = 1

gpuSuite('quantile-margins', (bench) => {
  const run = async (scores: ArrayLike<number>, share: number) => {
    const { gpu, arena } = bench
    const kernel = await quantileMarginsKernel(gpu, { capacity: CAPACITY, share })
    const before = new Float32Array(SUBLAYERS * CAPACITY).fill(5)
    before.set(Float32Array.from(scores), SUBLAYER * CAPACITY)
    const buffers = {
      plan: bench.upload(planOf({ rows: scores.length, capacity: CAPACITY })),
      z: bench.inout(before),
    }
    await bench.run([kernel(arena, buffers, { sublayer: SUBLAYER })], { rows: scores.length })
    const all = await bench.floats(buffers.z)
    const [from, to] = [SUBLAYER * CAPACITY, SUBLAYER * CAPACITY + scores.length]
    expect([...all.slice(0, from), ...all.slice(to)].every((value) => value === 5)).toBe(true)
    return all.slice(from, to)
  }

  it.each([2, 3, 64, 257, CAPACITY])('of %i rows, at several shares', async (rows) => {
    const scores = noise(new Prng(rows), rows)
    for (const share of [0.01, 0.25, 0.5, 0.9, 1]) {
      const at = share * (rows - 1)
      const sorted = [...scores].sort((a, b) => a - b)
      const tau = share === 1 ? sorted.at(-1)! : quantile(sorted, share)
      const margins = await run(scores, share)
      expectClose(
        margins,
        [...scores].map((score) => score - tau),
      )
      expect(margins.filter((margin) => margin < 0)).toHaveLength(Math.floor(at) + 1)
    }
  })

  it('leaves one row and none as they are', async () => {
    expect([...(await run([0.25], 0.5))]).toEqual([0.25])
    expect(await run([], 0.5)).toHaveLength(0)
  })

  it('skips what is at the quantile, with all that are equal to it', async () => {
    const tie = Math.fround(TIE_MARGIN)
    expect([...(await run([2, 1, 1, 1, 0, 3], 0.4))]).toEqual([1, tie, tie, tie, -1, 2])
    expect([...(await run(range(5).fill(7), 0.5))]).toEqual(Array(5).fill(tie))
  })
})
