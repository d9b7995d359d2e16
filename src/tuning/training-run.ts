import { SkipstoneError } from '../errors.js'
import type { ModelWeights } from '../model/weights.js'
import type { Target } from '../runtime/target.js'
import { drawBatch } from './batch.js'
import { GradientStep } from './gradient-step.js'
import { type HeldOutLoss, heldOutLoss } from './held-out.js'
import { LossWatch } from './loss-watch.js'
import { Optimiser } from './optimiser.js'
import { STAGES } from './stages.js'
import { streamSeed } from './streams.js'
import type { TrainingInputs } from './training.js'

/** Steps between the states that a run can fall back to. */
const KEEP_EVERY = 25

/** What one step of the optimiser came to, over its batches. */
export interface TrainedStep {
  /** Counted from 0. */
  readonly step: number
  /** crossEntropy + λ · |rate wanted − had|; of a LoRA the cross-entropy; of gates crossEntropy + λ · mean(g²). */
  readonly loss: number
  /** Mean over the predicted tokens, in nats. */
  readonly crossEntropy: number
  /** Share of gates that executed. */
  readonly executeRate: number
  /** Temperature of the gates; 1 where they have none. */
  readonly tau: number
}

/** A run between two steps. With the same settings and windows it goes on to the letter: what is drawn by lot follows from the seed and the step. */
export interface TrainingState {
  readonly history: readonly TrainedStep[]
  /** What trains, and its moments, one behind the other. */
  readonly values: Float32Array<ArrayBuffer>
  readonly first: Float32Array<ArrayBuffer>
  readonly second: Float32Array<ArrayBuffer>
}

/** Trains what a stage adds to a frozen model, step by step. */
export class TrainingRun {
  #history: TrainedStep[] = []
  #watch: LossWatch
  #good: TrainingState

  private constructor(
    private readonly inputs: TrainingInputs,
    private readonly parts: Parts,
    begin: TrainingState,
  ) {
    this.#good = begin
    this.#watch = new LossWatch([], parts.training.mayRise)
  }

  /**
   * @param from what an earlier run with the same inputs had reached.
   * @throws as `GradientStep.create`; `bad-option` where there are fewer windows than a batch takes.
   */
  static async create(
    target: Target,
    weights: ModelWeights,
    inputs: TrainingInputs,
    from?: TrainingState,
  ): Promise<TrainingRun> {
    const { settings, windows } = inputs
    if (windows.length < settings.batch) {
      throw new SkipstoneError(
        'bad-option',
        `The text has ${windows.length} windows of ${settings.length} tokens, and a batch takes ${settings.batch}: give more text, or a smaller batch or context.`,
      )
    }
    const parts = await build(target, weights, inputs)
    try {
      const { count } = parts.training.parameters
      const begin = { history: [], first: new Float32Array(count), second: new Float32Array(count) }
      const run = new TrainingRun(inputs, parts, {
        ...begin,
        values: await readValues(parts),
      })
      if (from) run.#restore(from)
      return run
    } catch (error) {
      parts.destroy()
      throw error
    }
  }

  /** Steps taken, in order. */
  get history(): readonly TrainedStep[] {
    return this.#history
  }

  get isDone(): boolean {
    return this.#history.length >= this.inputs.settings.steps
  }

  /**
   * One step of the optimiser. One call at a time.
   * @throws `diverged`: the run is then back at the last good state. `device-lost`.
   */
  async step(): Promise<TrainedStep> {
    const { settings } = this.inputs
    const { optimiser, training } = this.parts
    const n = this.#history.length
    const done = await this.#gradients(n)
    if (!this.#watch.accepts(done.loss)) {
      throw this.#diverged(
        Number.isFinite(done.loss)
          ? `the mean loss of the last steps is more than ${this.parts.training.mayRise} times the least that it was`
          : `the loss is ${done.loss}`,
      )
    }
    optimiser.step({ learningRate: training.rate(n) * settings.learningRate })
    this.#history.push(done)
    if (this.isDone || (this.#history.length % KEEP_EVERY === 0 && this.#watch.isCalm)) await this.state()
    return done
  }

  /**
   * The present state, which is then the last good one too.
   * @throws `diverged` where values are broken: routers that are decide all the same, so that the loss may not tell.
   */
  async state(): Promise<TrainingState> {
    const history = [...this.#history]
    const state = { history, values: await readValues(this.parts), ...(await this.parts.optimiser.moments()) }
    if (!state.values.every(Number.isFinite)) throw this.#diverged('what trains is no number any more')
    this.#good = state
    return state
  }

  /** What a run falls back to, kept on this side of the GPU. */
  get good(): TrainingState {
    return this.#good
  }

  /** Share of the last step's gates that executed, for each sublayer [2 layers]. */
  async rates(): Promise<number[]> {
    const gates = await this.parts.gradient.gates()
    const rows = this.inputs.settings.batch * this.inputs.settings.length
    return Array.from({ length: gates.length / rows }, (_, sublayer) => {
      return gates.subarray(sublayer * rows, (sublayer + 1) * rows).reduce((sum, gate) => sum + gate, 0) / rows
    })
  }

  /** Loss over windows of `settings.length` ids that nobody trains on, by arg-max decisions. No call while a step is under way. */
  measure(windows: readonly (readonly number[])[]): Promise<HeldOutLoss> {
    const { settings, ends } = this.inputs
    return heldOutLoss(this.parts.gradient, windows, { ...settings, ends })
  }

  destroy(): void {
    this.parts.destroy()
  }

  /** Adds up the gradients of step n, and gives the mean of its batches' losses. */
  async #gradients(n: number): Promise<TrainedStep> {
    const { settings, windows, ends } = this.inputs
    const { batch, accumulation, seed } = settings
    const { gradient, training } = this.parts
    const sum = { loss: 0, crossEntropy: 0, executeRate: 0 }
    for (let i = 0; i < accumulation; i++) {
      const counter = n * accumulation + i
      const ids = drawBatch(windows, batch, streamSeed(seed, 'batches'), counter)
      const losses = await gradient.run({ ids, ends, accumulation, ...training.input(n, counter) })
      sum.loss += losses.loss / accumulation
      sum.crossEntropy += losses.crossEntropy / accumulation
      sum.executeRate += losses.executeRate / accumulation
    }
    return { step: n, ...sum, tau: training.input(n, n * accumulation).tau }
  }

  #diverged(what: string): SkipstoneError {
    const reached = this.#history.length
    this.#restore(this.#good)
    return new SkipstoneError(
      'diverged',
      `Training diverged after ${reached} steps: ${what}. What was reached after ${this.#history.length} is kept; try again with a learning rate below ${this.inputs.settings.learningRate}.`,
    )
  }

  #restore(state: TrainingState): void {
    const { training, optimiser } = this.parts
    training.parameters.write(state.values)
    optimiser.restore(state.history.length, state)
    this.#history = [...state.history]
    this.#watch = new LossWatch(
      state.history.map(({ loss }) => loss),
      training.mayRise,
    )
    this.#good = state
  }
}

type Parts = Awaited<ReturnType<typeof build>>

function readValues({ training }: Pick<Parts, 'training'>): Promise<Float32Array<ArrayBuffer>> {
  return training.parameters.readAll(training.parameters.values)
}

/** Nothing stays allocated after a failure. */
async function build(target: Target, weights: ModelWeights, inputs: TrainingInputs) {
  const { gpu } = target
  const { stage, batch, length } = inputs.settings
  const owned: { destroy(): void }[] = []
  const own = <T extends { destroy(): void }>(part: T): T => {
    owned.push(part)
    return part
  }
  const destroy = () => {
    for (const part of owned) part.destroy()
  }
  try {
    const training = await STAGES[stage](gpu, inputs, own)
    const { gating, lora, parameters } = training
    const gradient = own(await GradientStep.create(target, weights, { batch, length, gating, ...(lora && { lora }) }))
    const rates = training.rates?.(await firstSizes(gradient, inputs))
    const optimiser = own(await Optimiser.create(gpu, parameters, rates))
    return { gradient, training, optimiser, destroy }
  } catch (error) {
    destroy()
    throw error
  }
}

/** Of residuals in the first batch, as the gates decide at first. */
async function firstSizes(gradient: GradientStep, { settings, windows, ends }: TrainingInputs) {
  const ids = drawBatch(windows, settings.batch, streamSeed(settings.seed, 'batches'), 0)
  await gradient.measure({ ids, ends })
  return gradient.residualSizes()
}
