import { describe, it } from 'vitest'
import { planSlot } from '../../shaders/snippets/plan.js'
import { KERNEL_FORMS } from '../../src/kernels/forms.js'
import { packedForm } from '../../src/kernels/packed-forms.js'
import { qkvDecodeKernel } from '../../src/kernels/qkv-decode.js'
import { linear } from '../../src/kernels/reference/linear.js'
import { inEightBits } from '../../src/kernels/reference/packed.js'
import { rmsNorm } from '../../src/kernels/reference/rms-norm.js'
import { rope } from '../../src/kernels/reference/rope.js'
import { ropeTable } from '../../src/model/rope.js'
import { Prng } from '../fixtures/prng.js'
import {
  clearOfTies,
  expectClose,
  gpuSuite,
  noise,
  padRows,
  planOf,
  randomMatrix,
  vectorTable,
} from '../gpu/testing.js'

const CONTEXT = 12
const VARIANTS = [
  { d: 70, heads: 6, kvHeads: 2, headDim: 20, bias: true, qkNorm: false, dtype: 'f32', queries: 'word' },
  { d: 72, heads: 4, kvHeads: 1, headDim: 40, bias: true, qkNorm: true, dtype: 'f16', queries: 'always' },
  { d: 64, heads: 3, kvHeads: 3, headDim: 4, bias: false, qkNorm: true, dtype: 'bf16', queries: 'word' },
  { d: 72, heads: 4, kvHeads: 1, headDim: 40, bias: false, qkNorm: false, dtype: 'q8', queries: 'word' },
  { d: 70, heads: 6, kvHeads: 2, headDim: 20, bias: true, qkNorm: false, dtype: 'q4', queries: 'word' },
  { d: 256, heads: 6, kvHeads: 2, headDim: 20, bias: false, qkNorm: false, dtype: 'q5_k', queries: 'word' },
  { d: 30, heads: 2, kvHeads: 1, headDim: 64, bias: false, qkNorm: false, dtype: 'f32', queries: 'always' },
  { d: 70, heads: 6, kvHeads: 2, headDim: 20, bias: true, qkNorm: false, dtype: 'q8', queries: 'never' },
  { d: 72, heads: 5, kvHeads: 2, headDim: 20, bias: true, qkNorm: true, dtype: 'f32', queries: 'never' },
  { d: 70, heads: 6, kvHeads: 2, headDim: 20, bias: true, qkNorm: false, dtype: 'q4', queries: 'word', packed: true },
  { d: 72, heads: 4, kvHeads: 1, headDim: 40, bias: true, qkNorm: true, dtype: 'q8', queries: 'word', packed: true },
] as const

/** Rows that the form is chosen for: of large matrices an invocation takes more at a time. */
const LIKE = 4096

gpuSuite('qkv-decode', (bench) => {
  for (const variant of VARIANTS) {
    const { d, heads, kvHeads, headDim, dtype, qkNorm, queries } = variant
    const eps = 1e-5
    const prng = new Prng(headDim)
    const rows = (heads + 2 * kvHeads) * headDim
    const queryWidth = heads * headDim
    const kvWidth = 2 * kvHeads * headDim
    const packed = 'packed' in variant
    const norm = noise(prng, d)
    const x = clearOfTies(noise(prng, d, 2), norm)
    const bias = noise(prng, rows)
    const headNorms = noise(prng, 2 * headDim)
    const { bytes, stored } = randomMatrix(prng, rows, d, dtype)
    const table = ropeTable({ kind: 'default', theta: 100 }, headDim, 0, CONTEXT)
    const vectors = vectorTable({ norm, bias, qkNorm: headNorms })

    const expected = (position: number) => {
      const u = rmsNorm(x, norm, eps, 1, d)
      const all = linear(packed ? inEightBits(u) : u, stored, 1, d, rows, variant.bias ? bias : undefined)
      const angles = table.subarray(position * headDim, (position + 1) * headDim)
      const turn = (values: Float64Array, count: number, weight: Float32Array) =>
        rope(qkNorm ? rmsNorm(values, weight, eps, count, headDim) : values, angles, 1, count, headDim)
      const half = kvWidth / 2
      const q = turn(all.subarray(0, queryWidth), heads, headNorms.subarray(0, headDim))
      const k = turn(all.subarray(queryWidth, queryWidth + half), kvHeads, headNorms.subarray(headDim))
      return { q, kv: [...k, ...all.subarray(queryWidth + half)] }
    }

    describe.each(packed ? KERNEL_FORMS.map(packedForm) : KERNEL_FORMS)(
      `$name, ${heads}/${kvHeads} heads of ${headDim}, ${dtype}, queries ${queries}`,
      ({ value }) => {
        const run = async (o: { position: number; rows?: number; word?: number }) => {
          const { gpu, arena } = bench
          const form = qkNorm ? value.heads : value.matvec({ rows: LIKE, k: d, dtype, parts: 1 })
          const kernel = await qkvDecodeKernel(gpu, { ...variant, k4: Math.ceil(d / 4), eps, form })
          const buffers = {
            plan: bench.upload(
              planOf({ rows: o.rows ?? 1, start: o.position, capacity: 1, execute: [[1], [o.word ?? 1]] }),
            ),
            x: bench.upload(padRows(form.normed ? Float32Array.from(rmsNorm(x, norm, eps, 1, d)) : x, d)),
            weights: bench.upload(bytes),
            vectors: bench.upload(vectors.data),
            rope: bench.upload(table),
            kv: bench.poisoned(CONTEXT * kvWidth),
            q: bench.poisoned(queryWidth),
          }
          await bench.run([kernel(arena, buffers, { slot: planSlot(1, 1), ...vectors.at })])
          return buffers
        }
        const expectAppended = async (kv: GPUBuffer, position: number) => {
          const row = { from: position * kvWidth, to: (position + 1) * kvWidth }
          expectClose((await bench.floats(kv)).subarray(row.from, row.to), expected(position).kv)
          await bench.expectUntouched(kv, row)
        }

        it.each([0, 7, CONTEXT - 1])('makes a query and appends to the cache at position %i', async (position) => {
          const { q, kv } = await run({ position })
          if (queries === 'never') await bench.expectUntouched(q)
          else expectClose(await bench.floats(q), expected(position).q)
          await expectAppended(kv, position)
        })

        it('keeps keys and values where the word is 0', async () => {
          const { q, kv } = await run({ position: 7, word: 0 })
          await expectAppended(kv, 7)
          if (queries === 'always') expectClose(await bench.floats(q), expected(7).q)
          else await bench.expectUntouched(q)
        })

        it('writes nothing after the end', async () => {
          const { q, kv } = await run({ position: 7, rows: 0 })
          await bench.expectUntouched(q)
          await bench.expectUntouched(kv)
        })
      },
    )
  }
})
