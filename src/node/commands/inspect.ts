import type { ModelConfig } from '../../model/config.js'
import { matrixBytes } from '../../model/matrix-loader.js'
import { openModelFiles } from '../../sdk/model-files.js'
import { loadRouters, ROUTER_FILE } from '../../sdk/routers.js'
import { directSource } from '../../sdk/sources.js'
import type { CommandContext } from './context.js'

export interface InspectResult {
  model: string
  architecture: string
  config: ModelConfig
  parameters: number
  /** Bytes of tensor data in the files. */
  bytes: number
  tensors: { name: string; dtype: string; shape: readonly number[]; bytes: number }[]
  routers: { kind: 'linear' | 'two-layer'; parameters: number } | null
  /** Bytes on the GPU: weights per dtype, and the cache per 1,000 positions. */
  memory: { f32: number; f16: number; cachePerThousandPositions: number }
}

/** Reads headers only; needs no GPU. */
export async function inspectCommand(context: CommandContext, options: { model: string }): Promise<InspectResult> {
  const { files, config, checkpoint } = await openModelFiles(directSource(context.model))
  const tensors = [...checkpoint.entries.values()].map(({ name, dtype, shape, start, end }) => ({
    name,
    dtype,
    shape,
    bytes: end - start,
  }))
  const count = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1)
  const weights = (dtype: 'f32' | 'f16') =>
    tensors.reduce((sum, { shape }) => {
      const [n = 0, k] = shape
      return sum + (k === undefined ? 4 * n : matrixBytes(n, k, dtype))
    }, 0)
  return {
    model: options.model,
    architecture: config.architecture,
    config,
    parameters: tensors.reduce((sum, { shape }) => sum + count(shape), 0),
    bytes: tensors.reduce((sum, { bytes }) => sum + bytes, 0),
    tensors,
    routers: await routerSummary(),
    memory: {
      f32: weights('f32'),
      f16: weights('f16'),
      cachePerThousandPositions: 1000 * config.layers * 2 * config.kvHeads * config.headDim * 4,
    },
  }

  async function routerSummary(): Promise<InspectResult['routers']> {
    const source = context.routers ? directSource(context.routers) : files
    if (!context.routers && !(await source.has(ROUTER_FILE))) return null
    const routers = await loadRouters(source, config, undefined)
    const d = config.hiddenSize
    const each = routers.kind === 'linear' ? 2 * d + 2 : routers.width * (d + 1) + 2 * routers.width + 2
    return { kind: routers.kind, parameters: 2 * config.layers * each }
  }
}
