import type { WeightDtype } from '../../shaders/snippets/weights.js'
import type { MatrixName } from '../model/layer-matrices.js'
import type { Target } from './target.js'

/** Makes a kernel for every dtype that a matrix has in some layer. */
export async function perDtype<T>(
  { dtypes }: Target,
  matrix: MatrixName,
  make: (dtype: WeightDtype) => Promise<T>,
): Promise<(layer: number) => T> {
  const ofLayer = dtypes.layers.map((dtype) => dtype[matrix])
  const distinct = [...new Set(ofLayer)]
  const made = new Map(await Promise.all(distinct.map(async (dtype) => [dtype, await make(dtype)] as const)))
  return (layer) => made.get(ofLayer[layer] as WeightDtype) as T
}
