import { maxSplits } from '../../shaders/snippets/splits.js'
import { SkipstoneError } from '../errors.js'
import type { ModelConfig } from '../model/config.js'

/** Sizes that the programs share, derived from a model's configuration. */
export interface RuntimeShape {
  readonly config: ModelConfig
  /** Vectors of four values per row of the residual stream, and of the MLP's inner activation. */
  readonly d4: number
  readonly ff4: number
  /** Values per row of queries, and of keys and values together. */
  readonly queryWidth: number
  readonly kvWidth: number
  readonly splits: number
  readonly sublayers: number
  /** Words of execute bits per position. */
  readonly bitWords: number
}

/** @throws `unsupported` for head sizes that the kernels cannot lay out. */
export function runtimeShape(config: ModelConfig): RuntimeShape {
  if (config.headDim % 4 !== 0 || config.headDim > 256) {
    throw new SkipstoneError(
      'unsupported',
      `A head size of ${config.headDim} is not supported: the kernels need a multiple of 4 up to 256.`,
    )
  }
  return {
    config,
    d4: Math.ceil(config.hiddenSize / 4),
    ff4: Math.ceil(config.intermediateSize / 4),
    queryWidth: config.heads * config.headDim,
    kvWidth: 2 * config.kvHeads * config.headDim,
    splits: maxSplits(config.heads),
    sublayers: 2 * config.layers,
    bitWords: Math.ceil((2 * config.layers) / 32),
  }
}
