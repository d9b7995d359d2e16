import { describe, it } from 'vitest'
import { planSlot } from '../../shaders/snippets/plan.js'
import { addGatedKernel } from '../../src/kernels/add-gated.js'
import { addGated } from '../../src/kernels/reference/gates.js'
import { Prng } from '../fixtures/prng.js'
import { activeRows, expectClose, gpuSuite, noise, padRows, planOf } from '../gpu/testing.js'

const CAPACITY = 7
const SUBLAYER = 1
const LINE = { offset: 0.4, gain: -1.3 }

const MASKS = {
  'no row': [0, 0, 0, 0, 0, 0],
  'all rows': [1, 1, 1, 1, 1, 1],
  'some rows': [0, 1, 1, 0, 0, 1],
} as const

gpuSuite('add-gated', (bench) => {
  describe.each([3, 70, 333])('d %i', (d) => {
    describe.each(['vector', 'scalar'] as const)('%s gate', (gate) => {
      const prng = new Prng(d)
      const width = gate === 'vector' ? d : 1
      const x = noise(prng, CAPACITY * d)
      const branch = noise(prng, CAPACITY * d)
      const gates = noise(prng, CAPACITY * width)

      const run = async (mask: readonly number[], masked: boolean) => {
        const { gpu, arena } = bench
        const d4 = Math.ceil(d / 4)
        const kernel = await addGatedKernel(gpu, { d4, gate, rows: masked ? 'all' : 'active', masked })
        const buffers = {
          plan: bench.upload(planOf({ rows: mask.length, capacity: CAPACITY, execute: [[], mask] })),
          branch: bench.upload(padRows(branch, d)),
          gates: bench.upload(gate === 'vector' ? padRows(gates, d) : gates),
          x: bench.inout(padRows(x, d, 5)),
          z: bench.upload(Float32Array.from([...Array<number>(CAPACITY).fill(1), ...mask], (runs) => (runs ? 0 : -1))),
        }
        const params = { slot: planSlot(SUBLAYER, CAPACITY), z: SUBLAYER * CAPACITY, ...LINE }
        await bench.run([kernel(arena, buffers, params)], { rows: CAPACITY })
        return bench.floats(buffers.x)
      }
      const padded = (values: Float64Array) => padRows(values, d, 5)

      it.each(Object.entries(MASKS))('adds to %s in the order of the plan', async (_, mask) => {
        const active = activeRows(mask)
        expectClose(await run(mask, false), padded(addGated(x, branch, gates, active, d, LINE)))
      })

      it('adds to the same rows where all of them were computed', async () => {
        const mask = MASKS['some rows']
        const active = activeRows(mask)
        const compact = active.flatMap((row) => [...branch.subarray(row * d, (row + 1) * d)])
        expectClose(await run(mask, true), padded(addGated(x, compact, gates, active, d, LINE)))
      })
    })
  })
})
