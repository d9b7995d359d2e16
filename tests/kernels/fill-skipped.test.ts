import { describe, it } from 'vitest'
import type { FillSkippedOptions } from '../../shaders/fill-skipped.wgsl.js'
import { fillSkippedKernel } from '../../src/kernels/fill-skipped.js'
import { fillSkipped } from '../../src/kernels/reference/fill-skipped.js'
import { Prng } from '../fixtures/prng.js'
import { expectClose, gpuSuite, noise, planOf, range } from '../gpu/testing.js'

const CAPACITY = 9
const SUBLAYER = 3
const CONTEXT = 40
const START = 21
/** Positions of a batch's rows, behind the plan's slots. */
const POSITIONS = [4, 39, 0, 17, 8, 30, 31, 2, 3]

const SHAPES = [
  { kvHeads: 2, headDim: 20 },
  { kvHeads: 1, headDim: 4 },
  { kvHeads: 3, headDim: 64 },
]

gpuSuite('fill-skipped', (bench) => {
  describe.each(SHAPES)('$kvHeads heads of $headDim', (shape) => {
    const width = 2 * shape.kvHeads * shape.headDim
    const prng = new Prng(width)
    const kv = noise(prng, CONTEXT * width)
    const below = noise(prng, CONTEXT * width)
    // A margin of 0 runs.
    const margins = [-1, 0, 2, -1e-30, -3, 1, -0.5, 4, -2]
    const z = Float32Array.from({ length: 8 * CAPACITY }, (_, i) => margins[i - SUBLAYER * CAPACITY] ?? -9)
    const skips = margins.map((margin) => margin < 0)

    const fill = async (o: Pick<FillSkippedOptions, 'with' | 'positions'>, rows: number, row?: number) => {
      const { gpu, arena } = bench
      const kernel = await fillSkippedKernel(gpu, { ...shape, ...o })
      const plan = planOf({ rows, start: START, capacity: CAPACITY })
      const words = Uint32Array.of(...plan, ...POSITIONS)
      const buffers = {
        plan: bench.upload(words),
        z: bench.upload(z),
        kv: bench.inout(Float32Array.from(kv)),
        below: o.with === 'below' ? bench.upload(below) : undefined,
      }
      await bench.run([kernel(arena, buffers, { z: SUBLAYER * CAPACITY, row })], { rows: CAPACITY })
      return bench.floats(buffers.kv)
    }
    const slots = planOf({ rows: 0, capacity: CAPACITY }).length

    describe.each(['hole', 'below'] as const)('with %s', (rule) => {
      const source = rule === 'below' ? below : undefined

      it.each([0, 1, 5, CAPACITY])('of %i rows of one sequence', async (rows) => {
        const made = await fill({ with: rule, positions: 'consecutive' }, rows)
        const at = { skips, positions: range(rows).map((row) => START + row) }
        expectClose(made, fillSkipped(kv, at, shape, source), 0)
      })

      it.each([0, 1, 8])('of row %i of a batch', async (row) => {
        const made = await fill({ with: rule, positions: { firstWord: slots } }, CAPACITY, row)
        const at = { skips: [skips[row]!], positions: [POSITIONS[row]!] }
        expectClose(made, fillSkipped(kv, at, shape, source), 0)
      })
    })
  })
})
