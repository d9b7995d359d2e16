import { packedMatvec } from '../../shaders/snippets/packed-matvec.js'
import type { GpuDevice } from '../gpu/device.js'
import type { Form } from '../gpu/forms.js'
import { downDecodeKernel } from './down-decode.js'
import type { KernelForms } from './forms.js'
import { linear } from './reference/linear.js'
import { pcgHash } from './reference/random.js'
import { close } from './self-test.js'
import { onDevice } from './self-test-run.js'
import { type TestMatrix, testMatrix } from './test-matrix.js'

/** A form whose products with one vector round that to 8 bits, where weights are q8 or q4. */
export function packedForm({ name, value, ...form }: Form<KernelForms>): Form<KernelForms> {
  const matvec: KernelForms['matvec'] = (matrix) => {
    const plain = value.matvec(matrix)
    // Where an invocation packs the vector and multiplies alone, packing is shared by more rows.
    const rowsPerSlot = plain.lanes === 1 ? 4 / matrix.parts : plain.rowsPerSlot
    return matrix.dtype === 'q8' || matrix.dtype === 'q4' ? { ...plain, rowsPerSlot, ofBlocks: packedMatvec } : plain
  }
  const heads = { ...value.heads, ofBlocks: packedMatvec }
  return { ...form, name: `${name}-packed`, value: { ...value, matvec, output: matvec, heads } }
}

/** Runs products of these forms on small cases that 8 bits hold exactly, and compares with the f64 reference. Sizes are no multiples of a block. */
export async function packedGivesRightResults(gpu: GpuDevice, forms: KernelForms): Promise<boolean> {
  return (await productIsRight(gpu, forms, 'q8')) && (await productIsRight(gpu, forms, 'q4'))
}

function productIsRight(gpu: GpuDevice, forms: KernelForms, dtype: 'q8' | 'q4'): Promise<boolean> {
  const n = 75
  const k = 76
  const { words, values } = testMatrix(dtype, n, k) as TestMatrix
  // Whole numbers of steps: every block has the largest one, 127.
  const x = Float32Array.from({ length: k }, (_, i) => (i % 32 === 3 ? -127 : (pcgHash(6, 0, i) % 255) - 127) / 1024)
  return onDevice(gpu, 1, async ({ arena, upload, run }) => {
    const product = await downDecodeKernel(gpu, {
      d: n,
      k4: k / 4,
      bias: false,
      dtype,
      obey: 'always',
      form: forms.matvec({ rows: n, k, dtype, parts: 1 }),
    })
    const y = upload(new Float32Array(n))
    const plan = upload(Uint32Array.of(1, 0, 0, 0))
    const bound = { plan, a: upload(x), weights: upload(words), vectors: upload(new Float32Array(4)), x: y }
    const made = await run(product(arena, bound, { slot: 0, bias: 0 }), y, n)
    return close(made, linear(x, values, 1, k, n))
  })
}
