import { describe, expect, it } from 'vitest'
import { TIE_MARGIN } from '../../shaders/gate-scores.wgsl.js'
import { gateScoresKernel } from '../../src/kernels/gate-scores.js'
import { gateScores } from '../../src/kernels/reference/gates.js'
import { Prng } from '../fixtures/prng.js'
import { expectClose, gpuSuite, noise, POISON, padRows, planOf, range, takeRows } from '../gpu/testing.js'

/** More rows than a group has where each invocation takes one. */
const CAPACITY = 10
const SUBLAYERS = 4
const SUBLAYER = 2

gpuSuite('gate-scores', (bench) => {
  describe.each([1, 64] as const)('by %i invocations', (lanes) => {
    const run = async (
      values: Float32Array,
      o: { outputs: number; rows: number; threshold: number; tieRuns: boolean },
    ) => {
      const { gpu, arena } = bench
      const stride = o.outputs === 1 ? 1 : 4 * Math.ceil(o.outputs / 4)
      const kernel = await gateScoresKernel(
        gpu,
        { outputs: o.outputs, stride, capacity: CAPACITY, tieRuns: o.tieRuns },
        lanes,
      )
      const buffers = {
        plan: bench.upload(planOf({ rows: o.rows, capacity: CAPACITY })),
        gates: bench.inout(o.outputs === 1 ? values : padRows(values, o.outputs, 7)),
        thresholds: bench.upload(Float32Array.from(range(SUBLAYERS), (s) => (s === SUBLAYER ? o.threshold : 9))),
        z: bench.poisoned(SUBLAYERS * CAPACITY),
      }
      await bench.run([kernel(arena, buffers, { sublayer: SUBLAYER })], { rows: CAPACITY })
      await bench.expectUntouched(buffers.z, { from: SUBLAYER * CAPACITY, to: SUBLAYER * CAPACITY + o.rows })
      const z = (await bench.floats(buffers.z)).slice(SUBLAYER * CAPACITY, SUBLAYER * CAPACITY + o.rows)
      return { z, gates: await bench.floats(buffers.gates), stride }
    }

    describe.each([1, 3, 70, 333])('%i outputs', (outputs) => {
      // An identity shows the sigmoids of the values themselves.
      const identity = Float32Array.from({ length: outputs * outputs }, (_, i) => (i % (outputs + 1) === 0 ? 1 : 0))
      const values = noise(new Prng(outputs), CAPACITY * outputs, 4)

      it.each([0, 1, 5, CAPACITY])('of %i rows', async (rows) => {
        const { z, gates, stride } = await run(values, { outputs, rows, threshold: 0.3, tieRuns: false })
        const gate = { weight: identity, bias: new Float32Array(outputs) }
        const expected = gateScores(values, gate, rows, outputs)
        expectClose(
          z,
          expected.means.map((mean) => mean - 0.3),
        )
        expectClose(takeRows(gates, range(rows), outputs, stride), expected.gates)
        // Other rows, and what pads a row, stay.
        const before = outputs === 1 ? values : padRows(values, outputs, 7)
        const isGate = (i: number) => Math.floor(i / stride) < rows && i % stride < outputs
        expect([...gates].filter((_, i) => !isGate(i))).toEqual([...before].filter((_, i) => !isGate(i)))
      })
    })

    it('takes arguments of any size', async () => {
      const values = Float32Array.of(-1e30, -200, -88, 88, 200, 1e30)
      const { gates, z } = await run(values, { outputs: 1, rows: 6, threshold: 0, tieRuns: true })
      expectClose(gates, [0, 0, 0, 1, 1, 1])
      expect(z.every((margin) => margin >= 0)).toBe(true)
      expect(new Uint32Array(z.buffer)).not.toContain(POISON)
    })

    it.each([
      ['runs', true, 0],
      ['skips', false, Math.fround(TIE_MARGIN)],
    ] as const)('a score at the threshold %s', async (_, tieRuns, margin) => {
      const { z } = await run(new Float32Array(CAPACITY), { outputs: 1, rows: 2, threshold: 0.5, tieRuns })
      expect([...z]).toEqual([margin, margin])
    })
  })
})
