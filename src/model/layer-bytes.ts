import type { WeightDtype } from '../../shaders/snippets/weights.js'
import { MATRICES, type MatrixName } from './layer-matrices.js'
import { matrixBytes } from './matrix-loader.js'

interface Sizes {
  readonly dtypes: readonly Readonly<Record<MatrixName, WeightDtype>>[]
  readonly shapes: Readonly<Record<MatrixName, { rows: number; k: number }>>
}

/** Bytes of a matrix in each layer. */
export function bytesByLayer({ shapes, dtypes }: Sizes, matrix: MatrixName): number[] {
  const { rows, k } = shapes[matrix]
  return dtypes.map((dtype) => matrixBytes(rows, k, dtype[matrix]))
}

/** Bytes of all layers' matrices. */
export function layerBytes(sizes: Sizes): number {
  return MATRICES.flatMap((matrix) => bytesByLayer(sizes, matrix)).reduce((sum, bytes) => sum + bytes, 0)
}

/** Bytes of the slots through which parts stream: one attention and one MLP, as large as the largest. */
export function slotBytes(sizes: Sizes): number {
  return MATRICES.reduce((sum, matrix) => sum + Math.max(...bytesByLayer(sizes, matrix)), 0)
}
