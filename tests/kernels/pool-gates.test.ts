import { describe, expect, it } from 'vitest'
import { carryMarginsKernel } from '../../src/kernels/carry-margins.js'
import { poolGatesKernel } from '../../src/kernels/pool-gates.js'
import { pooledGate } from '../../src/kernels/reference/gates.js'
import { Prng } from '../fixtures/prng.js'
import { expectClose, gpuSuite, noise, planOf, range } from '../gpu/testing.js'

const CAPACITY = 150
const SUBLAYERS = 3
const SUBLAYER = 1
const THRESHOLD = 0.4

gpuSuite('pool-gates', (bench) => {
  const values = noise(new Prng(7), CAPACITY, 2)
  const before = noise(new Prng(8), SUBLAYERS * CAPACITY)

  const run = async ({ rows, start }: { rows: number; start: number }) => {
    const { gpu, arena } = bench
    const kernel = await poolGatesKernel(gpu, { capacity: CAPACITY })
    const buffers = {
      plan: bench.upload(planOf({ rows, start, capacity: CAPACITY })),
      gates: bench.upload(values),
      thresholds: bench.upload(Float32Array.of(9, THRESHOLD, 9)),
      z: bench.inout(before),
    }
    await bench.run([kernel(arena, buffers, { sublayer: SUBLAYER })], { rows })
    return bench.floats(buffers.z)
  }
  const expected = (rows: number, margin: number) => {
    const first = SUBLAYER * CAPACITY
    return before.map((value, i) => (i >= first && i < first + rows ? margin : value))
  }

  describe.each([0, 1, 64, 65, CAPACITY])('%i rows', (rows) => {
    it('that begin a sequence decide together', async () => {
      expectClose(
        await run({ rows, start: 0 }),
        expected(rows, rows === 0 ? 0 : pooledGate(values.subarray(0, rows)) - THRESHOLD),
      )
    })

    it('that follow obey what row 0 has kept', async () => {
      expect([...(await run({ rows, start: 12 }))]).toEqual([...expected(rows, before[SUBLAYER * CAPACITY]!)])
    })
  })

  it.each([3, 64, 130])('%i margins are carried into a row of a batch', async (sublayers) => {
    const { gpu, arena } = bench
    const capacity = 5
    const kernel = await carryMarginsKernel(gpu, { sublayers, capacity })
    const own = noise(new Prng(9), sublayers * capacity)
    const others = noise(new Prng(10), sublayers * capacity)
    const z = bench.inout(others)
    await bench.run([kernel(arena, { own: bench.upload(own), z }, { row: 3 })])
    const found = await bench.floats(z)
    const wanted = others.map((value, i) => (i % capacity === 3 ? own[i - 3]! : value))
    expect([...found]).toEqual([...wanted])
    expect(range(sublayers).some((s) => own[s * capacity] !== others[s * capacity + 3])).toBe(true)
  })
})
