import type { TuneOptions } from '../../src/index.js'

export type Stage = NonNullable<TuneOptions['stage']>

/** The name that the library gives the file of what decides. */
export const ROUTERS = 'routers.safetensors'

interface StageFacts {
  /** Decides with what comes out. */
  readonly policy: 'skipgpt' | 'gateskip'
  readonly files: readonly string[]
  /** What learns to decide, at a target; undefined where the model is healed under what decides. */
  readonly decides?: {
    /** At the beginning of a sentence. */
    readonly name: string
    /** What the loss has on top of the cross-entropy. */
    readonly besides: string
    readonly hasTau: boolean
  }
}

export const STAGES: Readonly<Record<Stage, StageFacts>> = {
  routers: {
    policy: 'skipgpt',
    files: [ROUTERS],
    decides: { name: 'Routers', besides: 'loss, with what missing the target costs', hasTau: true },
  },
  lora: { policy: 'skipgpt', files: ['adapter_model.safetensors', 'adapter_config.json'] },
  gateskip: {
    policy: 'gateskip',
    files: [ROUTERS],
    decides: { name: 'Gates', besides: 'loss, with what open gates cost', hasTau: false },
  },
}
