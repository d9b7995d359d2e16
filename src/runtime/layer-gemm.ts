import type { GemmChoice } from '../../shaders/gemm.wgsl.js'
import { gemmKernel } from '../kernels/gemm.js'
import type { MatrixName } from '../model/layer-matrices.js'
import { perDtype } from './per-dtype.js'
import type { Target } from './target.js'

/** The product of a chunk's rows with a matrix of each layer, in every dtype that the matrix has. */
export function layerGemm(target: Target, matrix: MatrixName, options: Omit<GemmChoice, 'dtype' | 'forms'>) {
  const forms = target.choice.form.value.gemms
  return perDtype(target, matrix, (dtype) => gemmKernel(target.gpu, { ...options, dtype, forms }, `gemm ${matrix}`))
}
