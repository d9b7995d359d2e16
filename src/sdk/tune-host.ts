import type { ModelConfig } from '../model/config.js'
import type { GenerationConfig } from '../model/generation-config.js'
import type { Engine } from '../runtime/engine.js'
import type { PolicyContext } from '../skip/policy-context.js'
import type { RouterWeights } from '../skip/router-weights.js'
import type { Calibrator } from '../study/calibrator.js'
import type { TextCodec } from './text-codec.js'

/** What training needs of a model. */
export interface TuneHost {
  readonly config: ModelConfig
  readonly generation: GenerationConfig
  readonly text: TextCodec
  /** Those that it routes with. */
  routers: RouterWeights | undefined
  /** What was measured for them. */
  calibrator: Calibrator | undefined
  readonly parts: {
    readonly warn: (message: string) => void
    /** Whether a LoRA was merged while the model loaded. */
    readonly merged: boolean
    /** Those that policies read. */
    tensors: PolicyContext['tensors']
  }
  engine(): Promise<Engine>
  /** @throws `bad-option` for ids that the model does not have. */
  checkIds(ids: readonly number[]): void
  /** @throws `disposed`. */
  check(): void
}
