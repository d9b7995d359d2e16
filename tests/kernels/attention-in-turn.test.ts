import { describe, expect, it } from 'vitest'
import type { AttentionInTurnOptions } from '../../shaders/attention-scores.wgsl.js'
import { batchPositions, planSlot } from '../../shaders/snippets/plan.js'
import { attentionInTurnKernels } from '../../src/kernels/attention-in-turn.js'
import { attention } from '../../src/kernels/reference/attention.js'
import { noisyKeysValues } from '../fixtures/keys-values.js'
import { Prng } from '../fixtures/prng.js'
import { expectClose, gpuSuite, noise, POISON, planOf, range, takeRows } from '../gpu/testing.js'

type Size = Pick<AttentionInTurnOptions, 'heads' | 'kvHeads' | 'headDim' | 'obeys' | 'holes'>

/** Around four positions to an invocation and 64 to a group. */
const CONTEXTS = [1, 3, 4, 63, 64, 65, 257, 1100]
const LONGEST = Math.max(...CONTEXTS)

const SIZES: Size[] = [
  // Grouped queries, and a head size that is no power of two: three columns of the second group of eight.
  { heads: 6, kvHeads: 2, headDim: 44, obeys: 'plan' },
  { heads: 4, kvHeads: 4, headDim: 64, obeys: 'nothing' },
  // Seven heads share their keys, of which no more than four are taken together: one.
  { heads: 7, kvHeads: 1, headDim: 4, obeys: 'plan' },
  { heads: 8, kvHeads: 1, headDim: 256, obeys: 'nothing' },
  { heads: 6, kvHeads: 2, headDim: 20, obeys: 'plan', holes: true },
]

/** Some that begin what an invocation or a group scores, and all of a group. */
const HOLES = new Set([3, 7, ...range(64).map((i) => 64 + i), 191, 192, 256])

gpuSuite('attention-in-turn', (bench) => {
  describe.each(SIZES)('$heads/$kvHeads heads of $headDim, obeys $obeys, holes: $holes', (size) => {
    const { heads, kvHeads, headDim } = size
    const prng = new Prng(headDim)
    const kvWidth = kvHeads * headDim
    const width = heads * headDim
    const q = noise(prng, width, 2)
    const holes = new Set(size.holes ? HOLES : [])
    const kv = noisyKeysValues(prng, LONGEST, holes, size)

    const run = async (o: { rows?: number; word?: number; context: number; longest?: number }) => {
      const kernels = await attentionInTurnKernels(bench.gpu, size)
      // What lies behind the query must not be read into the result.
      const cache = Float32Array.from(kv, (value, i) => (i < o.context * 2 * kvWidth ? value : Number.NaN))
      const buffers = {
        plan: bench.upload(
          planOf({ rows: o.rows ?? 1, start: o.context - 1, capacity: 1, execute: [[1], [o.word ?? 1]] }),
        ),
        q: bench.upload(q),
        kv: bench.upload(cache),
        scores: bench.poisoned(LONGEST * heads),
        out: bench.poisoned(width),
      }
      const dispatches = kernels(bench.arena, buffers, { slot: planSlot(1, 1), z: 0, row: 0 })
      await bench.run(dispatches, { context: o.longest ?? o.context })
      return buffers
    }

    const expectAttended = async ({ scores, out }: { scores: GPUBuffer; out: GPUBuffer }, context: number) => {
      const rows = range(context)
      const k = takeRows(kv, rows, kvWidth, 2 * kvWidth)
      const v = takeRows(kv.subarray(kvWidth), rows, kvWidth, 2 * kvWidth)
      expectClose(await bench.floats(out), attention(q, k, v, [context - 1], heads, kvHeads, headDim, holes))
      await bench.expectUntouched(scores, { from: 0, to: context * heads })
    }

    it.each(CONTEXTS)('attends to %i positions', async (context) => {
      await expectAttended(await run({ context }), context)
    })

    it('leaves the groups of a longer context in the same submit idle', async () => {
      await expectAttended(await run({ context: 65, longest: LONGEST }), 65)
    })

    if (size.obeys === 'plan') {
      it('writes nothing where the word is 0', async () => {
        const { scores, out } = await run({ context: 65, word: 0 })
        await bench.expectUntouched(scores)
        await bench.expectUntouched(out)
      })
    } else {
      it('runs where the word is 0', async () => {
        await expectAttended(await run({ context: 65, word: 0 }), 65)
      })
    }

    it('writes nothing after the end', async () => {
      const { scores, out } = await run({ context: 65, rows: 0 })
      await bench.expectUntouched(scores)
      await bench.expectUntouched(out)
    })
  })

  it.each([false, true])('attends with a row of a batch whose margin says so, holes: %s', async (withHoles) => {
    const [heads, kvHeads, headDim] = [6, 2, 20]
    const positions = [70, 5, 130, 0]
    const capacity = positions.length
    const { firstWord } = batchPositions(1, capacity)
    const prng = new Prng(3)
    const [kvWidth, width, queryStride] = [kvHeads * headDim, heads * headDim, 128]
    const q = noise(prng, capacity * queryStride, 2)
    const batch = { firstWord, queryStride }
    const options = { heads, kvHeads, headDim, obeys: 'margin', batch, holes: withHoles } as const
    const kernels = await attentionInTurnKernels(bench.gpu, options)
    const holes = new Set(withHoles ? [2, 64, 65] : [])
    const plan = [...planOf({ rows: capacity, capacity, execute: [[1]] }), ...positions]
    const caches = positions.map((position) =>
      noisyKeysValues(prng, 200, holes, options).fill(Number.NaN, (position + 1) * 2 * kvWidth),
    )
    // Behind another sublayer's margins; a tie executes.
    const margins = [Number.NaN, 0, -1e-6, 3, 0]
    const out = bench.poisoned(capacity * width)
    const common = {
      plan: bench.upload(Uint32Array.from(plan)),
      q: bench.upload(q),
      z: bench.upload(Float32Array.from(margins)),
      out,
    }
    const rows = [2, 0, 1]
    const dispatches = rows.flatMap((row) =>
      kernels(
        bench.arena,
        { ...common, kv: bench.upload(caches[row] as Float32Array<ArrayBuffer>), scores: bench.poisoned(200 * heads) },
        { slot: 0, z: 1, row },
      ),
    )
    await bench.run(dispatches, { context: 131 })
    const [made, words] = [await bench.floats(out), await bench.words(out)]
    for (const row of range(capacity)) {
      const [from, to] = [row * width, (row + 1) * width]
      if (row === 1 || !rows.includes(row)) {
        expect(
          words.subarray(from, to).every((word) => word === POISON),
          `row ${row}`,
        ).toBe(true)
        continue
      }
      const seen = range((positions[row] as number) + 1)
      const cache = caches[row] as Float32Array
      const k = takeRows(cache, seen, kvWidth, 2 * kvWidth)
      const v = takeRows(cache.subarray(kvWidth), seen, kvWidth, 2 * kvWidth)
      const query = q.subarray(row * queryStride, row * queryStride + width)
      expectClose(
        made.subarray(from, to),
        attention(query, k, v, [positions[row] as number], heads, kvHeads, headDim, holes),
      )
    }
  })
})
