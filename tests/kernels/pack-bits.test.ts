import { describe, expect, it } from 'vitest'
import { packBitsKernel } from '../../src/kernels/pack-bits.js'
import { Prng } from '../fixtures/prng.js'
import { gpuSuite, noise, POISON, planOf, range } from '../gpu/testing.js'

const CAPACITY = 5
const CURSOR = 2
const RECORDS = CURSOR + CAPACITY

gpuSuite('pack-bits', (bench) => {
  describe.each([
    { sublayers: 2, margins: false },
    { sublayers: 32, margins: true },
    // Across the border of a word, and more margins than a group has invocations.
    { sublayers: 66, margins: true },
    { sublayers: 66, margins: false },
  ])('$sublayers sublayers, margins $margins', ({ sublayers, margins }) => {
    const words = Math.ceil(sublayers / 32)
    const stride = 1 + words + (margins ? sublayers : 0)
    const z = noise(new Prng(sublayers), sublayers * CAPACITY)
    z.fill(0, 0, CAPACITY) // a tie executes
    const bits = new Uint32Array(z.buffer)

    it('packs the row of a batch', async () => {
      const { gpu, arena } = bench
      const kernel = await packBitsKernel(gpu, { sublayers, capacity: CAPACITY, stride, margins })
      const buffers = {
        plan: bench.upload(planOf({ rows: 1, start: 40, cursor: CURSOR, capacity: CAPACITY })),
        z: bench.upload(z),
        ring: bench.poisoned(RECORDS * stride),
      }
      await bench.run([kernel(arena, buffers, { row: 3 })])
      const record = (await bench.words(buffers.ring)).subarray(CURSOR * stride + 1, (CURSOR + 1) * stride)
      for (const s of range(sublayers)) {
        expect((record[s >> 5]! >>> (s & 31)) & 1).toBe(z[s * CAPACITY + 3]! >= 0 ? 1 : 0)
        if (margins) expect(record[words + s]).toBe(bits[s * CAPACITY + 3])
      }
      await bench.expectUntouched(buffers.ring, { from: CURSOR * stride + 1, to: (CURSOR + 1) * stride })
    })

    it.each([0, 1, CAPACITY])('packs %i rows', async (rows) => {
      const { gpu, arena } = bench
      const kernel = await packBitsKernel(gpu, { sublayers, capacity: CAPACITY, stride, margins })
      const buffers = {
        plan: bench.upload(planOf({ rows, start: 40, cursor: CURSOR, capacity: CAPACITY })),
        z: bench.upload(z),
        ring: bench.poisoned(RECORDS * stride),
      }
      await bench.run([kernel(arena, buffers, { row: 0 })], { rows: CAPACITY })

      const expected = new Uint32Array(RECORDS * stride).fill(POISON)
      for (const row of range(rows)) {
        const record = (CURSOR + row) * stride + 1
        expected.fill(0, record, record + words)
        for (const s of range(sublayers)) {
          if (z[s * CAPACITY + row]! >= 0) expected[record + (s >> 5)]! += 2 ** (s & 31)
          if (margins) expected[record + words + s] = bits[s * CAPACITY + row]!
        }
      }
      expect(await bench.words(buffers.ring)).toEqual(expected)
    })
  })
})
