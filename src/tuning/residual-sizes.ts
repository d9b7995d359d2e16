import { readBuffer } from '../gpu/readback.js'
import type { Target } from '../runtime/target.js'
import type { Activations } from './activations.js'

/** Root mean squares of the values of a layer's residual stream: at its entry, and between its sublayers. */
export interface ResidualSizes {
  readonly entry: number
  readonly middle: number
}

/** Rows of the first sequence that are looked at, at most: enough for a size, and little to read of a large model. */
const ROWS = 32

/** Of all layers, in the first sequence of the batch. Its first row is left out: what attends to nothing but itself is many times as large. */
export async function residualSizes(
  { gpu, shape }: Target,
  { inputs, middles }: Activations,
  length: number,
): Promise<ResidualSizes[]> {
  const stride = 4 * shape.d4
  const { hiddenSize, layers } = shape.config
  const rows = Math.min(ROWS, length)
  const sizeOf = async (buffer: GPUBuffer | undefined) => {
    const values = new Float32Array((await readBuffer(gpu, buffer as GPUBuffer, 4 * stride * rows)).buffer)
    const squares = values.subarray(stride).reduce((sum, value) => sum + value * value, 0)
    return Math.sqrt(squares / (hiddenSize * (rows - 1)))
  }
  const sizes: ResidualSizes[] = []
  for (let layer = 0; layer < layers; layer++) {
    sizes.push({ entry: await sizeOf(inputs[layer]), middle: await sizeOf(middles[layer]) })
  }
  return sizes
}
