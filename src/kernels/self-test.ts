import type { HeadOptions } from '../../shaders/head.wgsl.js'
import type { GemmForm, GemmOptions } from '../../shaders/snippets/gemm-options.js'
import { PLAN_HEADER, type Rows } from '../../shaders/snippets/plan.js'
import type { GpuDevice } from '../gpu/device.js'
import { attentionPrefillKernel } from './attention-prefill.js'
import type { KernelForms } from './forms.js'
import { gemmKernel } from './gemm.js'
import { headKernel } from './head.js'
import { attention } from './reference/attention.js'
import { linear } from './reference/linear.js'
import { pcgHash } from './reference/random.js'
import { rmsNorm } from './reference/rms-norm.js'
import { rmsNormKernel } from './rms-norm.js'
import { onDevice, type SelfTestRun } from './self-test-run.js'
import { type TestMatrix, testMatrix } from './test-matrix.js'

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
  /** Likewise what makes its keys and values, and its head. */
  readonly keysValues: Pick<GemmOptions, 'k4' | 'n' | 'dtype' | 'bias'>
  readonly head: Omit<HeadOptions, 'form'>
}

/** Products for large models are tested on small ones: their reference would take longer than compiling another kernel. */
const MOST_VALUES = 1 << 21
const SMALL = { d: 76, k4: 19, n: 75 }

/**
 * Runs the matrix and attention kernels in these forms once and compares with the f64 reference. The rows are no multiple of any tile, and less than half of one is left. Forms
 * for batches are not run: they differ in their size alone.
 */
export async function formsGiveRightResults(gpu: GpuDevice, forms: KernelForms, o: SelfTestOptions): Promise<boolean> {
  const rows = 35
  return onDevice(gpu, rows, async (test) => {
    const rightProducts = forms.gemms.map((form) => gemmIsRight(gpu, test, form, rows, o.keysValues))
    const right = [headIsRight(gpu, test, forms, o.head), attentionIsRight(gpu, test, forms, rows, o), ...rightProducts]
    // All of them compile at the same time.
    return (await Promise.all(right)).every(Boolean)
  })
}

async function gemmIsRight(
  gpu: GpuDevice,
  { arena, upload, run }: SelfTestRun,
  form: GemmForm,
  rows: number,
  model: SelfTestOptions['keysValues'],
): Promise<boolean> {
  const isSmall = 4 * model.k4 * model.n * rows <= 8 * MOST_VALUES
  const own = isSmall ? testMatrix(model.dtype, model.n, 4 * model.k4) : undefined
  const { k4, n, dtype, bias } = own ? model : { ...SMALL, dtype: 'f32' as const, bias: false }
  const { words, values } = own ?? (testMatrix('f32', n, 4 * k4) as TestMatrix)
  const options = { k4, n, outputStride: n, dtype, bias, rows: 'all', gather: false, epilogue: 'store' } as const
  const gemm = await gemmKernel(gpu, { ...options, forms: [form] }, 'gemm qkv')
  const x = numbers(1, rows * 4 * k4)
  const y = upload(new Float32Array(rows * n))
  const vectors = upload(new Float32Array(n))
  const bound = { plan: upload(Uint32Array.of(rows, 0, 0, 0)), x: upload(x), weights: upload(words), vectors, y }
  const made = await run(gemm(arena, bound, { slot: 0, firstRow: 0, bias: 0, z: 0 }), y, rows * n)
  return close(made, linear(x, values, rows, 4 * k4, n))
}

async function headIsRight(
  gpu: GpuDevice,
  { arena, upload, run }: SelfTestRun,
  forms: KernelForms,
  model: SelfTestOptions['head'],
): Promise<boolean> {
  const own = model.d * model.vocab <= MOST_VALUES ? testMatrix(model.dtype, model.vocab, model.d) : undefined
  const { d, k4, vocab, dtype, eps } = own ? model : { ...SMALL, vocab: SMALL.n, dtype: 'f32' as const, eps: 1e-5 }
  const { words, values } = own ?? (testMatrix('f32', vocab, d) as TestMatrix)
  const form = forms.matvec({ rows: vocab, k: d, dtype, parts: 1 })
  const head = await headKernel(gpu, { d, k4, vocab, eps, dtype, form })
  const x = numbers(1, 4 * k4).fill(0, d)
  const norm = numbers(2, 4 * k4)
  const logits = upload(new Float32Array(vocab))
  const plan = upload(Uint32Array.of(1, 0, 0, 0))
  const bound = { plan, x: upload(x), weights: upload(words), vectors: upload(norm), logits }
  if (form.normed) {
    const normalise = await rmsNormKernel(gpu, { d, d4: k4, eps, rows: 'all' })
    const u = upload(new Float32Array(4 * k4))
    await run(normalise(arena, { ...bound, u }, { slot: 0, norm: 0 }), u, d)
    bound.x = u
  }
  const made = await run(head(arena, bound, { norm: 0 }), logits, vocab)
  return close(made, linear(rmsNorm(x, norm, eps, 1, d), values, 1, d, vocab))
}

async function attentionIsRight(
  gpu: GpuDevice,
  { arena, upload, run }: SelfTestRun,
  forms: KernelForms,
  rows: number,
  { heads, kvHeads, headDim, rows: which }: SelfTestOptions,
): Promise<boolean> {
  const { unrolled, passedBy } = forms.attention
  const prefill = await attentionPrefillKernel(gpu, { heads, kvHeads, headDim, rows: which, unrolled, passedBy })
  const allRows = Array.from({ length: rows }, (_, row) => row)
  const plan = upload(Uint32Array.of(rows, 0, 0, 0, rows, ...allRows))
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

  return close(attended, reference)
}

/** Sums of many values are as exact as the largest of them. */
export function close(actual: Float32Array, expected: Float64Array): boolean {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 1)
  return expected.every((value, i) => Math.abs(value - (actual[i] as number)) <= TOLERANCE * largest)
}
