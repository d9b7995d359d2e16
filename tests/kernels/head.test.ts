import { describe, it } from 'vitest'
import { KERNEL_FORMS } from '../../src/kernels/forms.js'
import { headKernel } from '../../src/kernels/head.js'
import { packedForm } from '../../src/kernels/packed-forms.js'
import { linear } from '../../src/kernels/reference/linear.js'
import { inEightBits } from '../../src/kernels/reference/packed.js'
import { rmsNorm } from '../../src/kernels/reference/rms-norm.js'
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

const CAPACITY = 4
const VARIANTS = [
  { d: 70, vocab: 97, dtype: 'f32', packed: false },
  { d: 136, vocab: 131, dtype: 'f16', packed: false },
  { d: 64, vocab: 3, dtype: 'bf16', packed: false },
  { d: 70, vocab: 97, dtype: 'q8', packed: false },
  { d: 136, vocab: 131, dtype: 'q4', packed: false },
  // Longer than what a group keeps of a vector.
  { d: 2054, vocab: 67, dtype: 'q8', packed: false },
  { d: 2054, vocab: 67, dtype: 'f32', packed: false },
  { d: 70, vocab: 1, dtype: 'q4', packed: true },
  // More than one tile of it.
  { d: 6570, vocab: 67, dtype: 'q8', packed: true },
] as const

gpuSuite('head', (bench) => {
  const cases = [
    ...KERNEL_FORMS.flatMap((kernels) =>
      VARIANTS.map((v) => {
        const { name, value } = v.packed ? packedForm(kernels) : kernels
        return { name, form: value.matvec({ rows: 4096, k: 64, dtype: v.dtype, parts: 1 }), ...v }
      }),
    ),
    // One row a group: more groups than one dimension of a dispatch takes here.
    {
      name: 'two rows of groups',
      form: { workgroup: 32, lanes: 32, rowsPerSlot: 1, adds: 'memory' },
      d: 6,
      vocab: 32771,
      dtype: 'f32',
      packed: false,
    },
  ] as const

  describe.each(cases)('$name, $vocab x $d, $dtype', ({ form, d, vocab, dtype, packed }) => {
    const eps = 1e-5
    const prng = new Prng(d)
    const norm = noise(prng, d)
    const rowsOfX = Array.from({ length: CAPACITY }, () => [...clearOfTies(noise(prng, d, 2), norm)])
    const x = Float32Array.from(rowsOfX.flat())
    const { bytes, stored } = randomMatrix(prng, vocab, d, dtype)
    const vectors = vectorTable({ norm })

    const run = async (rows: number) => {
      const { gpu, arena } = bench
      const kernel = await headKernel(gpu, { d, k4: Math.ceil(d / 4), vocab, eps, dtype, form })
      const buffers = {
        plan: bench.upload(planOf({ rows, start: 5, capacity: CAPACITY })),
        x: bench.upload(padRows('normed' in form ? Float32Array.from(rmsNorm(x, norm, eps, CAPACITY, d)) : x, d)),
        weights: bench.upload(bytes),
        vectors: bench.upload(vectors.data),
        logits: bench.poisoned(vocab),
      }
      await bench.run([kernel(arena, buffers, vectors.at)], { rows })
      return buffers.logits
    }

    it.each([1, 3, CAPACITY])('makes the logits of the last of %i rows', async (rows) => {
      const last = x.subarray((rows - 1) * d, rows * d)
      const u = rmsNorm(last, norm, eps, 1, d)
      expectClose(await bench.floats(await run(rows)), linear(packed ? inEightBits(u) : u, stored, 1, d, vocab))
    })

    it('writes nothing after the end', async () => {
      await bench.expectUntouched(await run(0))
    })
  })
})
