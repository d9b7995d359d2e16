import { describe, it } from 'vitest'
import type { AttentionDecodeOptions } from '../../shaders/attention-decode.wgsl.js'
import { planSlot } from '../../shaders/snippets/plan.js'
import { attentionDecodeKernel } from '../../src/kernels/attention-decode.js'
import { attention } from '../../src/kernels/reference/attention.js'
import { noisyKeysValues } from '../fixtures/keys-values.js'
import { Prng } from '../fixtures/prng.js'
import { expectClose, gpuSuite, noise, POISON, planOf, range, takeRows } from '../gpu/testing.js'

const CONTEXTS = [1, 64, 65, 257, 1100]
const LONGEST = Math.max(...CONTEXTS)

const VARIANTS: AttentionDecodeOptions[] = [
  // Grouped queries, a head size that is no power of two, and parts that grow beyond one tile.
  {
    heads: 6,
    kvHeads: 2,
    headDim: 20,
    splits: { most: 3, tile: 64, least: 64 },
    obeys: 'plan',
  },
  {
    heads: 6,
    kvHeads: 2,
    headDim: 20,
    splits: { most: 3, tile: 256, least: 512 },
    obeys: 'plan',
  },
  {
    heads: 4,
    kvHeads: 4,
    headDim: 64,
    splits: { most: 16, tile: 64, least: 64 },
    obeys: 'nothing',
  },
  // The largest head: every invocation owns a column, and a vec4 of positions is shared by none.
  {
    heads: 3,
    kvHeads: 1,
    headDim: 256,
    splits: { most: 2, tile: 64, least: 128 },
    obeys: 'plan',
  },
  {
    heads: 2,
    kvHeads: 2,
    headDim: 4,
    splits: { most: 1, tile: 256, least: 256 },
    obeys: 'nothing',
  },
  {
    heads: 6,
    kvHeads: 2,
    headDim: 20,
    splits: { most: 20, tile: 64, least: 64 },
    obeys: 'plan',
    holes: true,
  },
  {
    heads: 4,
    kvHeads: 2,
    headDim: 64,
    splits: { most: 16, tile: 64, least: 64 },
    obeys: 'nothing',
    holes: true,
  },
]

/** Some that begin parts, and all of a part: positions 64 to 127. */
const HOLES = new Set([3, 7, ...range(64).map((i) => 64 + i), 191, 192, 256])

gpuSuite('attention-decode', (bench) => {
  describe.each(VARIANTS)('$heads/$kvHeads heads of $headDim, tiles of $splits.tile, holes: $holes', (variant) => {
    const { heads, kvHeads, headDim } = variant
    const { most: splits, tile, least } = variant.splits
    const prng = new Prng(headDim)
    const kvWidth = kvHeads * headDim
    const q = noise(prng, heads * headDim, 2)
    const holes = new Set(variant.holes ? HOLES : [])
    const kv = noisyKeysValues(prng, LONGEST, holes, variant)
    const sumWords = heads * splits * headDim

    const run = async (o: { rows?: number; word?: number; context: number; longest?: number }) => {
      const { gpu, arena } = bench
      const kernel = await attentionDecodeKernel(gpu, variant)
      // Rows behind the query hold what is no number: they must not be read into the result.
      const cache = Float32Array.from(kv, (value, i) => (i < o.context * 2 * kvWidth ? value : Number.NaN))
      const buffers = {
        plan: bench.upload(
          planOf({ rows: o.rows ?? 1, start: o.context - 1, capacity: 1, execute: [[1], [o.word ?? 1]] }),
        ),
        q: bench.upload(q),
        caches: [bench.upload(cache)],
        splitSums: bench.poisoned(sumWords + 2 * heads * splits),
      }
      await bench.run([kernel(arena, buffers, { slot: planSlot(1, 1), z: 0 })], { context: o.longest ?? o.context })
      return buffers.splitSums
    }

    /** What attention-output makes of the parts that were written. */
    const combine = (values: Float32Array, words: Uint32Array): number[] =>
      range(heads).flatMap((head) => {
        const parts = range(splits, head * splits).filter((cell) => words[sumWords + 2 * cell] !== POISON)
        const maximum = Math.max(...parts.map((cell) => values[sumWords + 2 * cell]!))
        const factors = parts.map((cell) => Math.exp(values[sumWords + 2 * cell]! - maximum))
        const weight = parts.reduce((sum, cell, i) => sum + factors[i]! * values[sumWords + 2 * cell + 1]!, 0)
        return range(headDim).map(
          (c) => parts.reduce((sum, cell, i) => sum + factors[i]! * values[cell * headDim + c]!, 0) / weight,
        )
      })

    const expectAttended = async (splitSums: GPUBuffer, context: number) => {
      const words = await bench.words(splitSums)
      const rows = range(context)
      const k = takeRows(kv, rows, kvWidth, 2 * kvWidth)
      const v = takeRows(kv.subarray(kvWidth), rows, kvWidth, 2 * kvWidth)
      const expected = attention(q, k, v, [context - 1], heads, kvHeads, headDim, holes)
      expectClose(combine(await bench.floats(splitSums), words), expected)

      const length = Math.max(least, tile * Math.ceil(Math.ceil(context / tile) / splits))
      const used = Math.ceil(context / length)
      for (const cell of range(heads * splits).filter((i) => i % splits >= used)) {
        const touched = [...words.subarray(cell * headDim, (cell + 1) * headDim)].filter((word) => word !== POISON)
        expectClose(touched, [], 0, `part ${cell}, which has no positions`)
      }
    }

    it.each(CONTEXTS)('attends to %i positions', async (context) => {
      await expectAttended(await run({ context }), context)
    })

    it('leaves the groups of a longer context in the same submit idle', async () => {
      await expectAttended(await run({ context: 65, longest: LONGEST }), 65)
    })

    if (variant.obeys !== 'nothing') {
      it('writes nothing where the word is 0', async () => {
        await bench.expectUntouched(await run({ context: 65, word: 0 }))
      })
    } else {
      it('runs where the word is 0', async () => {
        await expectAttended(await run({ context: 65, word: 0 }), 65)
      })
    }

    it('writes nothing after the end', async () => {
      await bench.expectUntouched(await run({ context: 65, rows: 0 }))
    })
  })
})
