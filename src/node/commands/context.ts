import type { DtypeOption } from '../../model/matrix-dtypes.js'
import type { Activations } from '../../runtime/activations.js'
import { loadModel } from '../../sdk/load.js'
import type { Model } from '../../sdk/model-api.js'
import type { ModelSource } from '../../sdk/options.js'

/** Options that every command has, as plain data: they cross into a browser page. */
export interface CommonOptions {
  readonly model: string
  readonly policy: string
  readonly dtype: DtypeOption
  readonly activations: Activations
  readonly backend: string
  readonly adapter: string
  readonly context?: number
  /** In bytes. */
  readonly gpuBudget?: number
}

/** Where a command runs: in Node on Dawn, or in a browser page. Nothing here is Node's. */
export interface CommandContext {
  readonly gpu: GPU | undefined
  readonly model: ModelSource
  readonly routers: ModelSource | undefined
  readonly lora: ModelSource | undefined
  /** Shows progress and generated text to a person. */
  readonly progress: (text: string) => void
  readonly signal?: AbortSignal
}

export function load(
  context: CommandContext,
  options: Pick<CommonOptions, 'dtype' | 'activations' | 'gpuBudget'>,
): Promise<Model> {
  return loadModel(context.model, {
    dtype: options.dtype,
    activations: options.activations,
    onWarning: (message) => context.progress(`${message}\n`),
    ...(options.gpuBudget !== undefined && { gpuBudget: options.gpuBudget }),
    ...(context.routers && { routers: context.routers }),
    ...(context.lora && { lora: context.lora }),
    ...(context.gpu && { gpu: context.gpu }),
    ...(context.signal && { signal: context.signal }),
  })
}
