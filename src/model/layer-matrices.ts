import type { LayerTensorNames } from './architectures/index.js'
import type { ModelConfig } from './config.js'

/** The matrices of a layer as kernels bind them: Q, K and V are one, and so are gate and up. */
export const MATRICES = ['qkv', 'o', 'gateUp', 'down'] as const
export type MatrixName = (typeof MATRICES)[number]

/**
 * What is needed together. Every token needs the layer's keys and values; the rest of the attention (Q and O) and the MLP only
 * those tokens that run them.
 */
export const PARTS = ['keysValues', 'attention', 'mlp'] as const
export type Part = (typeof PARTS)[number]

/** One tensor of a checkpoint and where it lies in the layer's matrices. */
export interface MatrixTensor {
  readonly name: string
  readonly rows: number
  /** Values in a row. */
  readonly k: number
  readonly part: Part
  readonly matrix: MatrixName
  /** Its first row there. */
  readonly row: number
}

/** Rows and values per row of each matrix of a layer: qkv [(heads + 2 kvHeads) headDim, hidden], o, gateUp [2 intermediate, hidden], down. */
export function matrixShapes(config: ModelConfig): Record<MatrixName, { rows: number; k: number }> {
  const { hiddenSize, intermediateSize, heads, kvHeads, headDim } = config
  return {
    qkv: { rows: (heads + 2 * kvHeads) * headDim, k: hiddenSize },
    o: { rows: hiddenSize, k: heads * headDim },
    gateUp: { rows: 2 * intermediateSize, k: hiddenSize },
    down: { rows: hiddenSize, k: intermediateSize },
  }
}

/** The tensors of one layer's matrices. */
export function layerTensors(config: ModelConfig, names: LayerTensorNames): readonly MatrixTensor[] {
  const shapes = matrixShapes(config)
  const q = config.heads * config.headDim
  const kv = config.kvHeads * config.headDim
  const ff = config.intermediateSize
  const tensor = (name: string, part: Part, matrix: MatrixName, row = 0, rows = shapes[matrix].rows) => {
    return { name, rows, k: shapes[matrix].k, part, matrix, row }
  }
  return [
    tensor(names.q, 'attention', 'qkv', 0, q),
    tensor(names.k, 'keysValues', 'qkv', q, kv),
    tensor(names.v, 'keysValues', 'qkv', q + kv, kv),
    tensor(names.o, 'attention', 'o'),
    tensor(names.gate, 'mlp', 'gateUp', 0, ff),
    tensor(names.up, 'mlp', 'gateUp', ff, ff),
    tensor(names.down, 'mlp', 'down'),
  ]
}
