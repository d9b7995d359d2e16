import { describe, expect, it } from 'vitest'
import type { GateBottleneckOptions } from '../../shaders/gate-bottleneck.wgsl.js'
import { TIE_MARGIN } from '../../shaders/gate-scores.wgsl.js'
import { gateBottleneckKernel } from '../../src/kernels/gate-bottleneck.js'
import { bottleneckGates } from '../../src/kernels/reference/gates.js'
import { VectorArena } from '../../src/model/vector-arena.js'
import { Prng } from '../fixtures/prng.js'
import { expectClose, gpuSuite, noise, padRows, planOf, range } from '../gpu/testing.js'

const CAPACITY = 6
const SUBLAYERS = 6
const SUBLAYER = 2
const EPS = 1e-5
const START = 1
/** Of a batch's rows, behind the plan's slots. */
const POSITIONS = [7, 0, 2, 1, 9, 2]

gpuSuite('gate-bottleneck', (bench) => {
  const run = async (
    v: Float32Array,
    head: { norm: Float32Array; weight: Float32Array; bias: number },
    {
      rows,
      thresholds,
      ...options
    }: { rows: number; thresholds: readonly [number, number] } & Partial<GateBottleneckOptions>,
  ) => {
    const { gpu, arena } = bench
    const units = head.norm.length
    const stride = 4 * Math.ceil(units / 4)
    const kernel = await gateBottleneckKernel(gpu, {
      ...{ units, stride, eps: EPS, capacity: CAPACITY },
      ...{ activation: 'tanh', tieRuns: false, initials: 0, positions: 'consecutive', ...options },
    })
    const vectors = new VectorArena()
    vectors.add([Float32Array.of(9, 9, 9)])
    const first = 4 * vectors.add([head.norm, head.weight])
    const before = Float32Array.from(range(SUBLAYERS), (s) => thresholds[s - SUBLAYER] ?? 9)
    const buffers = {
      plan: bench.upload(Uint32Array.of(...planOf({ rows, start: START, capacity: CAPACITY }), ...POSITIONS)),
      // What pads a row is nobody's.
      hidden: bench.upload(padRows(v, units, 7)),
      vectors: bench.upload(vectors.concatenate()),
      thresholds: bench.upload(before),
      gates: bench.poisoned(CAPACITY),
      z: bench.inout(new Float32Array(SUBLAYERS * CAPACITY).fill(5)),
    }
    await bench.run([kernel(arena, buffers, { sublayer: SUBLAYER, head: first, bias: head.bias })], { rows: CAPACITY })
    await bench.expectUntouched(buffers.gates, { from: 0, to: rows })
    const z = await bench.floats(buffers.z)
    return { gates: (await bench.floats(buffers.gates)).slice(0, rows), z }
  }

  describe.each([1, 3, 64, 70, 333])('%i units', (units) => {
    const prng = new Prng(units)
    const v = noise(prng, CAPACITY * units, 4)
    const head = { norm: noise(prng, units, 2), weight: noise(prng, units, 2 / Math.sqrt(units)), bias: 0.3 }

    it.each([0, 1, 5, CAPACITY])('of %i rows', async (rows) => {
      const { gates, z } = await run(v, head, { rows, thresholds: [0.4, 0.6] })
      const expected = bottleneckGates(v, head, EPS, rows)
      expectClose(gates, expected)
      const wanted = new Float64Array(SUBLAYERS * CAPACITY).fill(5)
      for (let row = 0; row < rows; row++) {
        wanted[SUBLAYER * CAPACITY + row] = expected[row]! - 0.4
        wanted[(SUBLAYER + 1) * CAPACITY + row] = expected[row]! - 0.6
      }
      expectClose(z, wanted)
    })

    it.each([1, CAPACITY])('of %i rows, by SiLU', async (rows) => {
      const { gates } = await run(v, head, { rows, thresholds: [0.4, 0.6], activation: 'silu' })
      expectClose(gates, bottleneckGates(v, head, EPS, rows, 'silu'))
    })
  })

  it.each([
    ['one sequence', 'consecutive', range(CAPACITY).map((row) => START + row)],
    ['a batch', { firstWord: planOf({ rows: 0, capacity: CAPACITY }).length }, POSITIONS],
  ] as const)('are 1 for the first tokens of %s', async (_, positions, at) => {
    const prng = new Prng(3)
    const v = noise(prng, CAPACITY * 8, 4)
    const head = { norm: noise(prng, 8, 2), weight: noise(prng, 8), bias: -1 }
    const { gates } = await run(v, head, { rows: CAPACITY, thresholds: [0.5, 0.5], initials: 2, positions })
    expectClose(
      gates,
      bottleneckGates(v, head, EPS, CAPACITY).map((g, row) => (at[row]! < 2 ? 1 : g)),
    )
  })

  it('takes units of any size', async () => {
    const v = Float32Array.of(1e15, 0, 0, 1e15, -1e15, 1e-30, 0, 0, 3e4, -3e4, 1e-20, 1e-20)
    const head = { norm: Float32Array.of(500, 500), weight: Float32Array.of(2, -90), bias: 0 }
    const { gates } = await run(v, head, { rows: CAPACITY, thresholds: [0.5, 0.5] })
    expectClose(gates, bottleneckGates(v, head, EPS, CAPACITY))
  })

  it.each([
    [false, Math.fround(TIE_MARGIN)],
    [true, 0],
  ])('runs at the threshold: %s', async (tieRuns, margin) => {
    const head = { norm: Float32Array.of(1, 1), weight: new Float32Array(2), bias: 0 }
    const { z } = await run(new Float32Array(2 * CAPACITY), head, { rows: 2, thresholds: [0.5, 0.5], tieRuns })
    for (const first of [SUBLAYER * CAPACITY, (SUBLAYER + 1) * CAPACITY])
      expect([...z.subarray(first, first + 2)]).toEqual([margin, margin])
  })
})
