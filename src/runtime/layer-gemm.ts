import type { GemmChoice, GemmForm } from '../../shaders/snippets/gemm-options.js'
import { gemmKernel } from '../kernels/gemm.js'
import type { MatrixName } from '../model/layer-matrices.js'
import { perDtype } from './per-dtype.js'
import type { Target } from './target.js'

/** Whose rows a product takes: those of a prompt, or one of each sequence that decodes. */
export type RowsOf = 'prompt' | 'batch'

export function formsOf({ choice }: Target, of: RowsOf): readonly GemmForm[] {
  const { gemms, batchGemms } = choice.form.value
  return of === 'batch' ? batchGemms : gemms
}

/** The product of rows with a matrix of each layer, in every dtype that the matrix has. */
export function layerGemm(
  target: Target,
  matrix: MatrixName,
  { of = 'prompt', ...options }: Omit<GemmChoice, 'dtype' | 'forms'> & { of?: RowsOf },
) {
  const forms = formsOf(target, of)
  return perDtype(target, matrix, (dtype) => gemmKernel(target.gpu, { ...options, dtype, forms }, `gemm ${matrix}`))
}
