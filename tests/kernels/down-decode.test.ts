import { describe, expect, it } from 'vitest'
import { planSlot } from '../../shaders/snippets/plan.js'
import { downDecodeKernel } from '../../src/kernels/down-decode.js'
import { KERNEL_FORMS } from '../../src/kernels/forms.js'
import { packedForm } from '../../src/kernels/packed-forms.js'
import { linear } from '../../src/kernels/reference/linear.js'
import { inEightBits } from '../../src/kernels/reference/packed.js'
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

const D = 75
const VARIANTS = [
  { k: 70, dtype: 'f32', obey: 'always', bias: false },
  // More than one tile of the input vector, and a rest.
  { k: 2090, dtype: 'f16', obey: 'skip', bias: true },
  { k: 333, dtype: 'bf16', obey: 'masked', bias: true },
  { k: 96, dtype: 'q8', obey: 'always', bias: false },
  { k: 333, dtype: 'q4', obey: 'skip', bias: true },
  { k: 2090, dtype: 'q8', obey: 'skip', bias: false },
  { k: 768, dtype: 'q6_k', obey: 'always', bias: false },
  { k: 70, dtype: 'q4', obey: 'always', bias: true, packed: true },
  { k: 333, dtype: 'q8', obey: 'skip', bias: false, packed: true },
  // More than one tile.
  { k: 13090, dtype: 'q4', obey: 'always', bias: false, packed: true },
] as const

/** Rows that the form is chosen for: of large matrices an invocation takes more at a time. */
const LIKE = 4096

gpuSuite('down-decode', (bench) => {
  for (const variant of VARIANTS) {
    const { k, dtype, obey } = variant
    const packed = 'packed' in variant
    const prng = new Prng(k)
    const x = noise(prng, D)
    const a = clearOfTies(noise(prng, k))
    const bias = noise(prng, D)
    const { bytes, stored } = randomMatrix(prng, D, k, dtype)
    const vectors = vectorTable({ bias })

    describe.each(packed ? KERNEL_FORMS.map(packedForm) : KERNEL_FORMS)(
      `$name, ${k}, ${dtype}, ${obey}`,
      ({ value }) => {
        const run = async (rows: number, word: number) => {
          const { gpu, arena } = bench
          const kernel = await downDecodeKernel(gpu, {
            ...variant,
            d: D,
            k4: Math.ceil(k / 4),
            form: value.matvec({ rows: LIKE, k, dtype: variant.dtype, parts: 1 }),
          })
          const buffers = {
            plan: bench.upload(planOf({ rows, start: 9, capacity: 1, execute: [[1], [word]] })),
            a: bench.upload(padRows(a, k)),
            weights: bench.upload(bytes),
            vectors: bench.upload(vectors.data),
            x: bench.inout(padRows(x, D)),
          }
          await bench.run([kernel(arena, buffers, { slot: planSlot(1, 1), bias: vectors.at.bias })])
          return bench.floats(buffers.x)
        }

        it('adds to the residual stream', async () => {
          const product = linear(packed ? inEightBits(a) : a, stored, 1, k, D, variant.bias ? bias : undefined)
          expectClose(
            await run(1, 1),
            padRows(
              product.map((value, i) => value + x[i]!),
              D,
            ),
          )
        })

        if (obey !== 'always') {
          it('leaves it alone where the word is 0', async () => {
            expect(await run(1, 0)).toEqual(padRows(x, D))
          })
        }

        it('leaves it alone after the end', async () => {
          expect(await run(0, 1)).toEqual(padRows(x, D))
        })
      },
    )
  }
})
