import { rmsNormKernel } from '../kernels/rms-norm.js'
import { ropeRowsKernel } from '../kernels/rope-rows.js'
import type { MatrixName } from '../model/layer-matrices.js'
import { layerGemm } from '../runtime/layer-gemm.js'
import { perDtype } from '../runtime/per-dtype.js'
import type { Target } from '../runtime/target.js'
import { POSITIONS } from './activations.js'
import { attentionBackwardKeyValueKernel } from './kernels/attention-backward-key-value.js'
import { attentionBackwardQueryKernel } from './kernels/attention-backward-query.js'
import { attentionSequencesKernel } from './kernels/attention-sequences.js'
import { linearBackwardKernel } from './kernels/linear-backward.js'
import { rmsNormBackwardKernel } from './kernels/rms-norm-backward.js'
import { ropeBackwardKernel } from './kernels/rope-backward.js'
import { swigluKernel } from './kernels/swiglu.js'
import { swigluBackwardKernel } from './kernels/swiglu-backward.js'

const SMALL_HEAD = 16

/** Compiles what a layer of training runs, apart from its gates. */
export async function layerKernels(target: Target) {
  const { gpu, shape, choice } = target
  const { config, d4, ff4, queryWidth, kvWidth } = shape
  const { heads, kvHeads, headDim, hiddenSize: d, intermediateSize: ff, rmsNormEps: eps, qkNorm } = config
  const { attention } = choice.form.value
  const product = (matrix: MatrixName, k4: number, n: number, outputStride: number, bias: boolean) =>
    layerGemm(target, matrix, { k4, n, outputStride, bias, rows: 'all', gather: false, epilogue: 'store' })
  const back = (matrix: MatrixName, n: number, k4: number, epilogue: 'store' | 'add') =>
    perDtype(target, matrix, (dtype) => linearBackwardKernel(gpu, { n, k4, dtype, epilogue }))
  // Vectors that a loop indexes are memory to a CPU behind WebGPU; those of large heads would take it long to compile otherwise.
  const sequences = { heads, kvHeads, headDim, unrolled: attention.unrolled || headDim <= SMALL_HEAD }
  const turned = { headDim, eps, qkNorm, positions: POSITIONS }
  const turn = (of: number, stride: number) =>
    ropeRowsKernel(gpu, { ...turned, heads: of, kvHeads, rows: 'all', target: 'query', stride })
  const turnBack = (of: number, stride: number) => ropeBackwardKernel(gpu, { ...turned, heads: of, stride })
  const forward = Promise.all([
    rmsNormKernel(gpu, { d, d4, eps, rows: 'all' }),
    product('qkv', d4, queryWidth, queryWidth, config.qkvBias),
    product('qkv', d4, kvWidth, kvWidth, config.qkvBias),
    turn(heads, queryWidth),
    // Keys are the first half of a row.
    turn(kvHeads, kvWidth),
    attentionSequencesKernel(gpu, sequences),
    product('o', queryWidth / 4, d, 4 * d4, config.outputBias),
    // Gate, or up.
    product('gateUp', d4, ff, 4 * ff4, config.mlpBias),
    swigluKernel(gpu, { width4: ff4 }),
    product('down', ff4, d, 4 * d4, config.mlpBias),
  ])
  const backward = Promise.all([
    back('down', d, ff4, 'store'),
    swigluBackwardKernel(gpu, { width4: ff4 }),
    back('gateUp', ff, d4, 'store'),
    back('gateUp', ff, d4, 'add'),
    rmsNormBackwardKernel(gpu, { d, d4, eps }),
    back('o', d, queryWidth / 4, 'store'),
    attentionBackwardQueryKernel(gpu, sequences),
    attentionBackwardKeyValueKernel(gpu, sequences),
    turnBack(heads, queryWidth),
    turnBack(kvHeads, kvWidth),
    back('qkv', queryWidth, d4, 'store'),
    back('qkv', kvWidth, d4, 'add'),
  ])
  const [norm, query, keysValues, turnQuery, turnKey, attend, output, wide, swiglu, down] = await forward
  const [downBack, swigluBack, gateBack, upBack, normBack, ...rest] = await backward
  const [outputBack, queryGradient, keyValueGradient, turnQueryBack, turnKeyBack, queryBack, keysValuesBack] = rest
  return {
    ...{ norm, query, keysValues, turnQuery, turnKey, attend, output, wide, swiglu, down },
    ...{ downBack, swigluBack, gateBack, upBack, normBack, outputBack },
    ...{ queryGradient, keyValueGradient, turnQueryBack, turnKeyBack, queryBack, keysValuesBack },
  }
}

export type LayerKernels = Awaited<ReturnType<typeof layerKernels>>
