import { SkipstoneError } from '../../errors.js'
import { type JsonObject, optional, show } from '../../formats/json.js'
import { llama } from './llama.js'
import { mistral } from './mistral.js'
import { qwen2 } from './qwen2.js'
import { qwen3 } from './qwen3.js'
import type { Architecture, ArchitectureId } from './types.js'

export type { Architecture, ArchitectureId, LayerFeatures, LayerTensorNames, TensorNames } from './types.js'

/** Every architecture that Skipstone runs. A new one is a file beside this and a line here. */
export const ARCHITECTURES: Readonly<Record<ArchitectureId, Architecture>> = { llama, mistral, qwen2, qwen3 }

/**
 * The architecture of a parsed `config.json`, by `model_type`, or by `architectures[0]` where there is no `model_type`.
 * `unsupported`, naming it, where it is not one of `ARCHITECTURES`.
 */
export function findArchitecture(config: JsonObject): Architecture {
  const modelType = optional(config, 'model_type')
  const classes = optional(config, 'architectures')
  const className = Array.isArray(classes) ? classes[0] : undefined
  const found = Object.values(ARCHITECTURES).find(({ id, aliases, className: known }) =>
    modelType === undefined ? className === known : modelType === id || aliases?.some((alias) => alias === modelType),
  )
  if (found) return found
  throw new SkipstoneError(
    'unsupported',
    `The architecture ${show(modelType ?? className)} is not supported; use a model of type ${Object.keys(ARCHITECTURES).join(', ')}.`,
  )
}
