import type { DtypeOption } from '../../model/matrix-dtypes.js'
import type { Activations } from '../../runtime/activations.js'
import { loadModel } from '../../sdk/load.js'
import { loadEngineModel } from '../../sdk/load-model.js'
import type { EngineModel } from '../../sdk/model.js'
import type { Model } from '../../sdk/model-api.js'
import type { LoadOptions, ModelSource } from '../../sdk/options.js'
import type { SkipProfile } from '../../skip/profile.js'

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
  /** What `skipstone calibrate` wrote, as parsed. */
  readonly profile?: SkipProfile
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

type Loading = Pick<CommonOptions, 'dtype' | 'activations' | 'gpuBudget' | 'profile'>

export function load(context: CommandContext, options: Loading): Promise<Model> {
  return loadModel(context.model, loadOptions(context, options))
}

/** With what only this package uses of a model. */
export function loadEngine(context: CommandContext, options: Loading): Promise<EngineModel> {
  return loadEngineModel(context.model, loadOptions(context, options))
}

function loadOptions(context: CommandContext, options: Loading): LoadOptions {
  return {
    dtype: options.dtype,
    activations: options.activations,
    ...(options.gpuBudget !== undefined && { gpuBudget: options.gpuBudget }),
    ...(options.profile !== undefined && { profile: options.profile }),
    onWarning: (message) => context.progress(`${message}\n`),
    ...(context.routers && { routers: context.routers }),
    ...(context.lora && { lora: context.lora }),
    ...(context.gpu && { gpu: context.gpu }),
    ...(context.signal && { signal: context.signal }),
  }
}

/** Tells every tenth of what is done; ends where the command does. */
export function progressOf({ signal, progress }: CommandContext) {
  let shown = 0
  return {
    ...(signal && { signal }),
    onProgress(done: number, all: number): void {
      const percent = Math.floor((100 * done) / all)
      if (percent < shown + 10) return
      shown = percent
      progress(`${percent} %\n`)
    },
  }
}
