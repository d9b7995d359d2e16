import type { SkipRatios } from '../runtime/trace.js'
import type { HeldOutLoss } from '../tuning/held-out.js'
import type { LoraTarget } from '../tuning/lora.js'
import type { Stage } from '../tuning/settings.js'
import type { TrainedStep } from '../tuning/training-run.js'

/**
 * What to train on: text that the model samples itself at temperature 1; a text, or several documents, of which the tail is held out; or windows
 * of ids of one length, each with BOS first, and those to hold out.
 */
export type TuneData =
  | 'self'
  | { readonly text: string | readonly string[] }
  | { readonly windows: readonly (readonly number[])[]; readonly held?: readonly (readonly number[])[] }

export interface TuneOptions {
  /**
   * `routers`: SkipGPT's stage 1, which learns what each token skips; the model stays as it is. `lora`: its stage 2, which heals the model under
   * the routers that it was loaded with; these stay as they are. `gateskip`: gates of GateSkip (arXiv 2510.13876), under a loss of cross-entropy + λ ·
   * mean(g²), while each batch keeps fewer of its tokens, from all of them down to 1 − target in every sublayer. Here the model stays as it is; the paper
   * trains it too, and says that gates alone cost more. They are as many as 2 · layers · hidden size², four times over on the GPU while they train. Default
   * `routers`.
   */
  stage?: Stage
  /** Share of the sublayer visits to skip, above 0 and at most 0.9; for `routers` and `gateskip`. */
  target?: number
  /** Default `self`. */
  data?: TuneData
  /** Windows that the model samples, a tenth of them to hold out. Default: what all batches take, 512 at most. */
  sampled?: number
  /** Where the model has routers, or gates, and such are to be trained: begin with new ones, or with these. There is no default. */
  existing?: 'replace' | 'continue'
  /** Steps of the optimiser. Default 800 for routers and for gates, and 250 for a LoRA. */
  steps?: number
  /** Windows in a batch, and tokens in a window. Default 8, and 256 or the model's context where that is shorter. */
  batch?: number
  context?: number
  /** Batches whose gradients are added for one step. Default 1. */
  accumulation?: number
  /**
   * How routers learn. `scaled` (default): from routers that run nearly everything, each layer's weights at a rate for the size of its residual stream;
   * what comes out has a threshold in its biases at which the target is skipped of the text that they train on.
   * `published`: as SkipGPT's code has it, from random ones, all at one constant rate; slower to get anywhere where residuals grow from layer to layer.
   */
  recipe?: 'scaled' | 'published'
  /**
   * Default for routers 2e-2 below a hidden size of 128, else 5e-3, for residuals of size 1, at the top of a warm-up over a tenth of the steps and a cosine down; by the published recipe 8e-3
   * below a hidden size of 128, else 2e-3, constant; for a LoRA 1e-3 below a hidden size of 1024, else 2e-4, at the top of a
   * warm-up over a tenth of the steps and a cosine down; for gates 3e-2, or 4 / hidden size where that is less, constant.
   */
  learningRate?: number
  /** λ: what missing the target by 1 costs, in nats, default 8; of gates, what it costs that all are open, default 1. */
  coefficient?: number
  /** Of the LoRA. Default 16, 32, and the projections of queries, values and gates. */
  rank?: number
  alpha?: number
  targets?: readonly LoraTarget[]
  /** How routers decide while a LoRA trains: as in inference (default), or by lot at temperature 1. */
  decisions?: 'arg-max' | 'sampled'
  /** What the MLP's router reads. Default `entry`, the published form. */
  input?: 'entry' | 'post-attention'
  /** Default 1: the same run on every call. */
  seed?: number
  /** Steps after which the run is kept in the browser's database. Default 25; 0 keeps nothing. */
  saveEvery?: number
  /** Go on with a run of the same model, data and options that was kept. Default true. */
  resume?: boolean
  /** Ends the run with `aborted`; what was reached is kept. */
  signal?: AbortSignal
  onStep?: (step: TuneStep) => void
  /** Windows that the model has sampled, and shall. */
  onProgress?: (done: number, all: number) => void
}

/** One step of training: its number from 0, losses in nats per token, the share of gates that executed, and their temperature (1 where they have none). */
export type TuneStep = TrainedStep

/** Loss and skip ratio on the windows that were held out. */
export interface TuneEvaluation {
  /** Windows, and predicted tokens. */
  windows: number
  tokens: number
  /** Mean loss in nats per predicted token: nothing skipped, and with the routers or gates as they are. */
  dense: number
  routed: number
  /** Of `routed`. */
  skip: Pick<SkipRatios, 'attention' | 'mlp' | 'total'>
  /** With the routers and the LoRA that trains. */
  adapted?: Pick<HeldOutLoss, 'nll' | 'skip'>
}

/** A training run. Iterating gives its steps, from the first one. */
export interface TuneRun extends AsyncIterable<TuneStep> {
  /** Under which the browser's database keeps it, for `forgetRun`. */
  readonly key: string
  readonly stage: Stage
  /** How many steps it will have. */
  readonly total: number
  /** Those that it has, with what was resumed. */
  readonly steps: readonly TuneStep[]
  /** Windows that are held out, for comparisons by `model.evaluate`. */
  readonly held: readonly (readonly number[])[]
  /**
   * Fulfilled when all steps are done, or the run was stopped. @throws `aborted`, `diverged` (the last good state is kept), `device-lost`,
   * `disposed`: `export` and `evaluate` then work with what was kept, and another call of `tune` goes on from there.
   */
  readonly done: Promise<void>
  /** Holds still when the step under way is done, and keeps the run. */
  pause(): Promise<void>
  resume(): void
  /** Ends the run when the step under way is done. */
  stop(): Promise<void>
  /** Share of the last step's gates that executed, for each sublayer; undefined when the run has ended. */
  rates(): Promise<readonly number[] | undefined>
  /** Measures the present state, at any time; of gates, and of routers of the scaled recipe, with thresholds at which the target is skipped of the text that they train on. @throws `aborted`, `device-lost`, `disposed`. */
  evaluate(options?: { signal?: AbortSignal }): Promise<TuneEvaluation>
  /**
   * The present state as files by name: `routers.safetensors`, of routers or of gates with their thresholds; or the files of a PEFT folder. Where the
   * threshold of routers was not found yet and the model or its device is gone, they come without it, and a warning says so.
   */
  export(): Promise<ReadonlyMap<string, Uint8Array<ArrayBuffer>>>
  /** Gives the model the present routers or gates: sessions made from now on can use the policy `skipgpt`, or `gateskip`, with them. Not for a LoRA. */
  use(): Promise<void>
  /** Removes what the browser's database keeps of this run; `forgetRun` does it by `key`. */
  forget(): Promise<void>
}
