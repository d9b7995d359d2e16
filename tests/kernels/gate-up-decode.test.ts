import { describe, it } from 'vitest'
import { planSlot } from '../../shaders/snippets/plan.js'
import { KERNEL_FORMS } from '../../src/kernels/forms.js'
import { gateUpDecodeKernel } from '../../src/kernels/gate-up-decode.js'
import { packedForm } from '../../src/kernels/packed-forms.js'
import { linear } from '../../src/kernels/reference/linear.js'
import { inEightBits } from '../../src/kernels/reference/packed.js'
import { rmsNorm } from '../../src/kernels/reference/rms-norm.js'
import { swiglu } from '../../src/kernels/reference/swiglu.js'
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

const FF = 75
const VARIANTS = [
  { d: 70, dtype: 'f32', obey: 'always', bias: false, eps: 1e-5 },
  { d: 136, dtype: 'f16', obey: 'skip', bias: true, eps: 1e-6 },
  { d: 333, dtype: 'bf16', obey: 'masked', bias: true, eps: 0.5 },
  { d: 136, dtype: 'q8', obey: 'skip', bias: false, eps: 1e-5 },
  { d: 70, dtype: 'q4', obey: 'always', bias: true, eps: 1e-5 },
  { d: 256, dtype: 'q4_k', obey: 'always', bias: false, eps: 1e-5 },
  { d: 70, dtype: 'q8', obey: 'skip', bias: true, eps: 0.5, packed: true },
  { d: 136, dtype: 'q4', obey: 'always', bias: false, eps: 1e-5, packed: true },
] as const

/** Rows that the form is chosen for: of large matrices an invocation takes more at a time. */
const LIKE = 4096

gpuSuite('gate-up-decode', (bench) => {
  for (const variant of VARIANTS) {
    const { d, dtype, obey, eps } = variant
    const prng = new Prng(d)
    const packed = 'packed' in variant
    const norm = noise(prng, d)
    const x = clearOfTies(noise(prng, d, 3), norm)
    // Odd: the biases of `up` do not start at a whole vec4.
    const bias = noise(prng, 2 * FF)
    const { bytes, stored } = randomMatrix(prng, 2 * FF, d, dtype)
    const vectors = vectorTable({ norm, bias })

    describe.each(packed ? KERNEL_FORMS.map(packedForm) : KERNEL_FORMS)(`$name, ${dtype}, ${obey}`, ({ value }) => {
      const run = async (rows: number, word: number) => {
        const { gpu, arena } = bench
        const form = value.matvec({ rows: LIKE, k: d, dtype: variant.dtype, parts: 2 })
        const kernel = await gateUpDecodeKernel(gpu, { ...variant, k4: Math.ceil(d / 4), ff: FF, form })
        const buffers = {
          plan: bench.upload(planOf({ rows, start: 9, capacity: 1, execute: [[1], [word]] })),
          x: bench.upload(padRows(form.normed ? Float32Array.from(rmsNorm(x, norm, eps, 1, d)) : x, d)),
          weights: bench.upload(bytes),
          vectors: bench.upload(vectors.data),
          a: bench.poisoned(FF + 1),
        }
        await bench.run([kernel(arena, buffers, { slot: planSlot(1, 1), ...vectors.at })])
        return buffers.a
      }
      const expectRan = async (a: GPUBuffer) => {
        const u = rmsNorm(x, norm, eps, 1, d)
        const gateUp = linear(packed ? inEightBits(u) : u, stored, 1, d, 2 * FF, variant.bias ? bias : undefined)
        expectClose((await bench.floats(a)).subarray(0, FF), swiglu(gateUp.subarray(0, FF), gateUp.subarray(FF)))
        await bench.expectUntouched(a, { from: 0, to: FF })
      }

      it('makes the inner activation', async () => {
        await expectRan(await run(1, 1))
      })

      if (obey === 'skip') {
        it('writes nothing where the word is 0', async () => {
          await bench.expectUntouched(await run(1, 0))
        })
      } else {
        it('runs where the word is 0', async () => {
          await expectRan(await run(1, 0))
        })
      }

      it('writes nothing after the end', async () => {
        await bench.expectUntouched(await run(0, 1))
      })
    })
  }
})
