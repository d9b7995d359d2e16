import { describe, expect, it } from 'vitest'
import { planSlot } from '../../shaders/snippets/plan.js'
import { maxSplits } from '../../shaders/snippets/splits.js'
import { attentionOutputKernel } from '../../src/kernels/attention-output.js'
import { KERNEL_FORMS } from '../../src/kernels/forms.js'
import { packedForm } from '../../src/kernels/packed-forms.js'
import { linear } from '../../src/kernels/reference/linear.js'
import { inEightBits } from '../../src/kernels/reference/packed.js'
import { Prng } from '../fixtures/prng.js'
import { expectClose, gpuSuite, noise, padRows, planOf, randomMatrix, range, vectorTable } from '../gpu/testing.js'

const D = 75
const TILE = 64
const VARIANTS = [
  { heads: 5, headDim: 40, splits: 3, dtype: 'f32', obey: 'skip', bias: true },
  // So many heads that the context is cut into fewer parts.
  { heads: 130, headDim: 20, splits: maxSplits(130), dtype: 'f16', obey: 'masked', bias: false },
  { heads: 6, headDim: 4, splits: maxSplits(6), dtype: 'bf16', obey: 'always', bias: true },
  { heads: 5, headDim: 40, splits: 3, dtype: 'q8', obey: 'always', bias: false },
  { heads: 6, headDim: 20, splits: 2, dtype: 'q4', obey: 'skip', bias: true },
  { heads: 5, headDim: 20, splits: 3, dtype: 'q8', obey: 'skip', bias: true, packed: true },
] as const

gpuSuite('attention-output', (bench) => {
  for (const variant of VARIANTS) {
    const { heads, headDim, splits, dtype, obey } = variant
    const packed = 'packed' in variant
    const prng = new Prng(heads)
    const x = noise(prng, D)
    const bias = noise(prng, D)
    const { bytes, stored } = randomMatrix(prng, D, heads * headDim, dtype)
    const vectors = vectorTable({ bias })
    const sums = noise(prng, heads * splits * headDim, 9)
    const maxima = noise(prng, heads * splits, 3)
    const weights = range(heads * splits).map(() => 1 + 60 * prng.uniform())

    describe.each(packed ? KERNEL_FORMS.map(packedForm) : KERNEL_FORMS)(
      `$name, ${heads} heads of ${headDim}, ${splits} splits, ${obey}`,
      ({ value }) => {
        const usedParts = (context: number) => {
          const tiles = Math.ceil(context / TILE)
          return Math.ceil(tiles / Math.ceil(tiles / splits))
        }
        const run = async (o: { context: number; rows?: number; word?: number }) => {
          const { gpu, arena } = bench
          const kernel = await attentionOutputKernel(gpu, {
            ...variant,
            splits: { most: splits, tile: TILE, least: TILE },
            d: D,
            form: value.matvec({ rows: D, k: heads * headDim, dtype: variant.dtype, parts: 1 }),
          })
          const used = usedParts(o.context)
          // Parts without positions are not written by the attention: they may hold anything.
          const isUsed = (cell: number) => cell % splits < used
          const parts = [
            ...sums.map((v, i) => (isUsed(Math.floor(i / headDim)) ? v : Number.NaN)),
            ...range(heads * splits).flatMap((i) => (isUsed(i) ? [maxima[i]!, weights[i]!] : [Number.NaN, Number.NaN])),
          ]
          const buffers = {
            plan: bench.upload(
              planOf({ rows: o.rows ?? 1, start: o.context - 1, capacity: 1, execute: [[1], [o.word ?? 1]] }),
            ),
            splitSums: bench.upload(Float32Array.from(parts)),
            weights: bench.upload(bytes),
            vectors: bench.upload(vectors.data),
            x: bench.inout(padRows(x, D)),
          }
          await bench.run([kernel(arena, buffers, { slot: planSlot(1, 1), bias: vectors.at.bias })])
          return bench.floats(buffers.x)
        }

        it.each([1, 65, 1100])('combines the parts of %i positions', async (context) => {
          const used = usedParts(context)
          const attended = range(heads).flatMap((head) => {
            const cells = range(used, head * splits)
            const maximum = Math.max(...cells.map((cell) => maxima[cell]!))
            const factor = (cell: number) => Math.exp(maxima[cell]! - maximum)
            const total = cells.reduce((sum, cell) => sum + factor(cell) * weights[cell]!, 0)
            return range(headDim).map(
              (c) => cells.reduce((sum, cell) => sum + factor(cell) * sums[cell * headDim + c]!, 0) / total,
            )
          })
          const product = linear(
            packed ? inEightBits(attended) : attended,
            stored,
            1,
            heads * headDim,
            D,
            variant.bias ? bias : undefined,
          )
          expectClose(
            await run({ context }),
            padRows(
              product.map((v, i) => v + x[i]!),
              D,
            ),
          )
        })

        if (obey !== 'always') {
          it('leaves the residual stream alone where the word is 0', async () => {
            expect(await run({ context: 65, word: 0 })).toEqual(padRows(x, D))
          })
        }

        it('leaves it alone after the end', async () => {
          expect(await run({ context: 65, rows: 0 })).toEqual(padRows(x, D))
        })
      },
    )
  }
})
