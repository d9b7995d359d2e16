import { readF32 } from '../formats/safetensors.js'
import { parseTensorFile } from '../formats/tensor-file.js'
import type { ModelConfig } from '../model/config.js'
import { type RouterWeights, readRouters } from '../skip/router-weights.js'
import type { FileSource } from '../storage/source.js'

export const ROUTER_FILE = 'routers.safetensors'

/** Tensors of policies that read them when they are asked for. */
const OTHERS = /\.gate_(attention|mlp)\.|(^|\.)routers\.\d|\.router\.(weight|bias)$/

/**
 * Reads `routers.safetensors`, or a PyTorch file under that name, and checks it against the model. Undefined where it has what another policy than
 * SkipGPT needs.
 */
export async function loadRouters(
  source: FileSource,
  config: ModelConfig,
  signal: AbortSignal | undefined,
): Promise<RouterWeights | undefined> {
  const file = await parseTensorFile(await source.read(ROUTER_FILE, undefined, signal))
  const names = [...file.entries.keys()]
  if (!names.some((name) => /router_(attention|mlp)/.test(name)) && names.some((name) => OTHERS.test(name)))
    return undefined
  const tensors = [...file.entries.values()]
    .filter((entry) => entry.name.includes('router'))
    .map((entry) => [entry.name, { shape: entry.shape, data: readF32(entry, file.data(entry.name)) }] as const)
  return readRouters(tensors, config.hiddenSize, config.layers)
}
