import { PLAN_HEADER, type Rows } from '../../shaders/snippets/plan.js'
import type { GpuDevice } from '../gpu/device.js'
import { attentionPrefillKernel } from './attention-prefill.js'
import { downDecodeKernel } from './down-decode.js'
import type { KernelForms } from './forms.js'
import { gemmKernel } from './gemm.js'
import { attention } from './reference/attention.js'
import { linear } from './reference/linear.js'
import { pcgHash } from './reference/random.js'
import { onDevice } from './self-test-run.js'

const TOLERANCE = 1e-4

/** Numbers in [-0.5, 0.5), the same on every machine. */
function numbers(seed: number, count: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: count }, (_, i) => (pcgHash(seed, 0, i) >>> 8) / 2 ** 24 - 0.5)
}

export interface SelfTestOptions {
  /** The model's attention, so that its kernel is the one that is tested, and is compiled once. */
  readonly heads: number
  readonly kvHeads: number
  readonly headDim: number
  readonly rows: Rows
}

/**
 * Runs the matrix and attention kernels in these forms on a small case and compares with the f64 reference. Sizes are
 * no multiples of any tile.
 */
export async function formsGiveRightResults(gpu: GpuDevice, forms: KernelForms, o: SelfTestOptions): Promise<boolean> {
  const k = 76
  const n = 75
  const rows = 37
  const { heads, kvHeads, headDim } = o
  return onDevice(gpu, rows, async ({ arena, upload, run }) => {
    const options = { k4: k / 4, n, outputStride: n, dtype: 'f32', bias: false, rows: 'all', gather: false } as const
    const [matvec, gemms, prefill] = await Promise.all([
      downDecodeKernel(gpu, {
        d: n,
        k4: k / 4,
        bias: false,
        dtype: 'f32',
        obey: 'always',
        form: forms.matvec({ rows: n, k, dtype: 'f32', parts: 1 }),
      }),
      Promise.all(forms.gemms.map((form) => gemmKernel(gpu, { ...options, epilogue: 'store', forms: [form] }))),
      attentionPrefillKernel(gpu, { ...o, unrolled: forms.attention.unrolled }),
    ])

    const x = numbers(1, rows * k)
    const w = numbers(2, n * k)
    const zero = new Float32Array(rows * n)
    const allRows = Array.from({ length: rows }, (_, row) => row)
    const plan = upload(Uint32Array.of(rows, 0, 0, 0, rows, ...allRows))
    const [xs, weights, vectors] = [upload(x), upload(w), upload(zero)]
    const expected = linear(x, w, rows, k, n)

    const y = upload(new Float32Array(n))
    const single = await run(matvec(arena, { plan, a: xs, weights, vectors, x: y }, { slot: 0, bias: 0 }), y, n)

    const products: Float32Array[] = []
    for (const gemm of gemms) {
      const ys = upload(zero)
      const params = { slot: 0, firstRow: 0, bias: 0, z: 0 }
      products.push(await run(gemm(arena, { plan, x: xs, weights, vectors, y: ys }, params), ys, rows * n))
    }

    const q = numbers(3, rows * heads * headDim)
    const width = kvHeads * headDim
    const kv = numbers(4, rows * 2 * width)
    const out = upload(new Float32Array(rows * heads * headDim))
    const bound = prefill(arena, { plan, q: upload(q), kv: upload(kv), out }, { slot: PLAN_HEADER })
    const attended = await run(bound, out, rows * heads * headDim)
    const part = (offset: number) =>
      Float32Array.from(
        { length: rows * width },
        (_, i) => kv[Math.floor(i / width) * 2 * width + offset + (i % width)] as number,
      )
    const reference = attention(q, part(0), part(width), allRows, heads, kvHeads, headDim)

    return (
      close(single, expected.subarray(0, n)) && products.every((y) => close(y, expected)) && close(attended, reference)
    )
  })
}

export function close(actual: Float32Array, expected: Float64Array): boolean {
  return expected.every((value, i) => Math.abs(value - (actual[i] as number)) <= TOLERANCE)
}
