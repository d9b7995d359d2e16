import type { TuneOptions } from '../../src/index.js'

export type Stage = NonNullable<TuneOptions['stage']>

/** The name that the library gives the file of what decides. */
export const ROUTERS = 'routers.safetensors'

interface StageFacts {
  /** What decides in what comes out, at the beginning of a sentence; undefined where the model is healed under what there is. */
  readonly decides?: string
  /** Decides with it. */
  readonly policy: 'skipgpt' | 'gateskip'
  readonly files: readonly string[]
  /** What the loss has on top of the cross-entropy. */
  readonly besides?: string
  /** Its decisions have a temperature. */
  readonly hasTau: boolean
}

export const STAGES: Readonly<Record<Stage, StageFacts>> = {
  routers: {
    ...{ decides: 'Routers', policy: 'skipgpt', files: [ROUTERS], hasTau: true },
    besides: 'loss, with what missing the target costs',
  },
  lora: { policy: 'skipgpt', files: ['adapter_model.safetensors', 'adapter_config.json'], hasTau: false },
  gateskip: {
    ...{ decides: 'Gates', policy: 'gateskip', files: [ROUTERS], hasTau: false },
    besides: 'loss, with what open gates cost',
  },
}
