import type { GemmForm } from '../../shaders/snippets/gemm-options.js'
import type { WeightDtype } from '../../shaders/snippets/weights.js'
import type { GpuDevice } from '../gpu/device.js'
import type { Dispatch, ParamsArena } from '../gpu/dispatch.js'
import { gemmKernel } from '../kernels/gemm.js'
import { crossEntropyGradientKernel } from './kernels/cross-entropy-gradient.js'
import { crossEntropySliceKernel } from './kernels/cross-entropy-slice.js'
import { crossEntropyWeightsKernel } from './kernels/cross-entropy-weights.js'
import { linearBackwardKernel } from './kernels/linear-backward.js'

export interface HeadOptions {
  readonly d4: number
  readonly vocab: number
  readonly dtype: WeightDtype
  readonly forms: readonly GemmForm[]
  /** Tokens whose logits are held at a time, at most. */
  readonly slice: number
}

export interface HeadBuffers {
  readonly plan: GPUBuffer
  readonly settings: GPUBuffer
  /** u32 [rows], NO_TARGET where a row has none. */
  readonly targets: GPUBuffer
  /** Normalised states [rows, d4] of four. */
  readonly state: GPUBuffer
  readonly head: GPUBuffer
  readonly vectors: GPUBuffer
  /** [rows, `logitsStride(options)`]; padding must be zero. */
  readonly logits: GPUBuffer
  /** [rows] of four. */
  readonly sums: GPUBuffer
  /** [rows, d4] of four, written. */
  readonly dState: GPUBuffer
}

/** Values between rows of a slice's logits. */
export function logitsStride({ vocab, slice }: Pick<HeadOptions, 'vocab' | 'slice'>): number {
  return 4 * Math.ceil(Math.min(vocab, slice) / 4)
}

/**
 * Cross-entropy with the head in slices of the vocabulary: logits are never whole, and made once. `losses` goes through the slices for each row's
 * sum of exponentials. `both` adds up the gradient at the same time, relative to the largest logit so far, as flash attention adds up values.
 */
export async function crossEntropyHead(gpu: GpuDevice, { d4, vocab, dtype, forms, slice }: HeadOptions) {
  const width = Math.min(vocab, slice)
  const stride = logitsStride({ vocab, slice })
  const product = { k4: d4, n: width, outputStride: stride, dtype, bias: false, rows: 'all', gather: false } as const
  const [logits, sums, weights, back, backOn, gradient] = await Promise.all([
    gemmKernel(gpu, { ...product, epilogue: 'store', forms }, 'gemm head'),
    crossEntropySliceKernel(gpu, { width, stride }),
    crossEntropyWeightsKernel(gpu, { width, stride }),
    linearBackwardKernel(gpu, { n: width, k4: d4, dtype, epilogue: 'store' }),
    linearBackwardKernel(gpu, { n: width, k4: d4, dtype, epilogue: 'add-to-share' }),
    crossEntropyGradientKernel(gpu, { k4: d4, dtype }),
  ])
  // The last slice is as wide as the others and goes back over tokens that were counted.
  const slices = Array.from({ length: Math.ceil(vocab / width) }, (_, i) => {
    return { first: Math.min(i * width, vocab - width), begin: i * width }
  })
  return (arena: ParamsArena, b: HeadBuffers): { losses: Dispatch[]; both: Dispatch[] } => {
    const { plan } = b
    const products = { plan, x: b.state, weights: b.head, vectors: b.vectors, y: b.logits }
    const counted = (part: (typeof slices)[number]) => [
      logits(arena, products, { slot: 0, firstRow: part.first, bias: 0, z: 0 }),
      sums(arena, b, part),
    ]
    const gradients = { plan, dy: b.logits, weights: b.head, dx: b.dState, sums: b.sums }
    return {
      losses: slices.flatMap(counted),
      both: [
        ...slices.flatMap((part, i) => [
          ...counted(part),
          weights(arena, b, part),
          (i === 0 ? back : backOn)(arena, gradients, { firstRow: part.first }),
        ]),
        gradient(arena, b),
      ],
    }
  }
}
