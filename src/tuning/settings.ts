import type { RuntimeShape } from '../runtime/shape.js'
import type { BatchShape } from './batch.js'
import type { LoraTarget } from './lora.js'

/** `routers`: SkipGPT's stage 1, the model frozen. `lora`: its stage 2, model and routers frozen. `gateskip`: GateSkip's gates, the model frozen. */
export type Stage = 'routers' | 'lora' | 'gateskip'

/** How a run trains: plain data. */
export interface TrainingSettings extends BatchShape {
  readonly stage: Stage
  /** Share of the sublayer visits that routers or gates shall skip. */
  readonly target: number
  /** Of the optimiser. */
  readonly steps: number
  /** Batches of one step. */
  readonly accumulation: number
  /** At its highest. */
  readonly learningRate: number
  /**
   * How routers learn. `published`: as SkipGPT's code has it, all weights at one constant rate from random ones. `scaled`: weights at a rate for
   * residuals of size 1 and biases at ten times it, up over a tenth of the steps and down along a cosine, from routers that run nearly everything.
   */
  readonly recipe: 'scaled' | 'published'
  /** λ: what missing the target by 1 costs, in nats; of gates, what it costs that all are open. */
  readonly coefficient: number
  /** Of the LoRA: what it adds is alpha / rank · B A. */
  readonly rank: number
  readonly alpha: number
  readonly targets: readonly LoraTarget[]
  /** How routers decide while a LoRA trains: as in inference, or by lot at temperature 1, as SkipGPT's code does. */
  readonly decisions: 'arg-max' | 'sampled'
  /** What the MLP's router reads. */
  readonly input: 'entry' | 'post-attention'
  readonly seed: number
}

/**
 * Hyper-parameters of SkipGPT (docs of the reference: λ 8, rank 16, alpha 32, q, v and gate) with what its 10,000 steps at 2e-3 and 2e-4 become for
 * models of a browser's size: fewer steps, and larger ones. By the published recipe, routers of 64 inputs were better at 8e-3 than at 2e-3, and those of
 * 128 trained well at 2e-3; by the scaled one, those of 64 were best at 3e-2 in few steps, and those of 128 and 256 trained well at 5e-3. A LoRA on models
 * of this size takes 1e-3. From hidden sizes of 1024 on, the published rate of the LoRA.
 *
 * GateSkip (λ 1) trains gates together with a model of 2048 inputs, for 6,800 steps at 3e-6. Gates alone have everything to do, and fewer steps. Those of
 * 64 inputs were better at 3e-2 than at 1e-2, and than at 6e-2 with small batches; those of 128 better at 5e-2 than at 1.6e-2. What a sigmoid reads moves
 * by up to d times the rate in a step of AdamW, so that the rate falls as 1 / d above; no larger model was measured.
 */
export function defaultSettings(
  { config }: RuntimeShape,
  stage: Stage,
  recipe: TrainingSettings['recipe'] = 'scaled',
): Omit<TrainingSettings, 'target'> {
  const { hiddenSize: d, contextLength } = config
  const ofRouters = { published: d < 128 ? 8e-3 : 2e-3, scaled: d < 128 ? 2e-2 : 5e-3 }
  const own = {
    routers: { steps: 800, learningRate: ofRouters[recipe], coefficient: 8 },
    lora: { steps: 250, learningRate: d < 1024 ? 1e-3 : 2e-4, coefficient: 8 },
    gateskip: { steps: 800, learningRate: Math.min(3e-2, 4 / d), coefficient: 1 },
  }
  return {
    stage,
    recipe,
    ...own[stage],
    batch: 8,
    length: Math.min(256, contextLength),
    accumulation: 1,
    rank: 16,
    alpha: 32,
    targets: ['self_attn.q_proj', 'self_attn.v_proj', 'mlp.gate_proj'],
    decisions: 'arg-max',
    input: 'entry',
    seed: 1,
  }
}
