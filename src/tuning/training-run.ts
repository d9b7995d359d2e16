import { SkipstoneError } from '../errors.js'
import type { ModelWeights } from '../model/weights.js'
import type { Target } from '../runtime/target.js'
import { drawBatch } from './batch.js'
import { GradientStep } from './gradient-step.js'
import { type HeldOutLoss, heldOutLoss } from './held-out.js'
import { LossWatch } from './loss-watch.js'
import { Optimiser } from './optimiser.js'
import { Parameters, type ParameterTensor } from './parameters.js'
import { temperature, warmCosine } from './schedules.js'
import type { TrainingSettings } from './settings.js'
import { streamSeed } from './streams.js'

/** Steps between the states that a run can fall back to. */
const KEEP_EVERY = 25

/** What one step of the optimiser came to, over its batches. */
export interface TrainedStep {
  /** Counted from 0. */
  readonly step: number
  /** crossEntropy + λ · |rate wanted − had|; of a LoRA the cross-entropy. */
  readonly loss: number
  /** Mean over the predicted tokens, in nats. */
  readonly crossEntropy: number
  /** Share of gates that executed. */
  readonly executeRate: number
  /** Temperature of the gates. */
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

export interface TrainingInputs {
  readonly settings: TrainingSettings
  /** Of `settings.length` ids each. */
  readonly windows: readonly (readonly number[])[]
  /** Tokens behind which nothing is predicted. */
  readonly ends: ReadonlySet<number>
  /** Both logits of every router, by official names: what stage 1 begins with, and what stage 2 leaves as it is. */
  readonly routers: readonly ParameterTensor[]
  /** Of stage 2. */
  readonly lora?: readonly ParameterTensor[] | undefined
}

/** Trains routers or a LoRA of a frozen model, step by step. */
export class TrainingRun {
  #history: TrainedStep[] = []
  #watch = new LossWatch([])
  #good: TrainingState

  private constructor(
    private readonly inputs: TrainingInputs,
    private readonly parts: Parts,
    begin: TrainingState,
  ) {
    this.#good = begin
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
      const { count } = parts.trained
      const begin = { history: [], first: new Float32Array(count), second: new Float32Array(count) }
      const run = new TrainingRun(inputs, parts, {
        ...begin,
        values: await parts.trained.readAll(parts.trained.values),
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
    const { optimiser } = this.parts
    const n = this.#history.length
    const done = await this.#gradients(n)
    if (!this.#watch.accepts(done.loss)) {
      throw this.#diverged(
        Number.isFinite(done.loss)
          ? 'the mean loss of the last steps is more than twice the least that it was'
          : `the loss is ${done.loss}`,
      )
    }
    const share = settings.stage === 'routers' ? 1 : warmCosine(n, settings.steps)
    optimiser.step({ learningRate: share * settings.learningRate })
    this.#history.push(done)
    if (this.isDone || (this.#history.length % KEEP_EVERY === 0 && this.#watch.isCalm)) await this.state()
    return done
  }

  /**
   * The present state, which is then the last good one too.
   * @throws `diverged` where values are broken: routers that are decide all the same, so that the loss may not tell.
   */
  async state(): Promise<TrainingState> {
    const { trained, optimiser } = this.parts
    const history = [...this.#history]
    const state = { history, values: await trained.readAll(trained.values), ...(await optimiser.moments()) }
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
    const { batch, accumulation, seed, coefficient, target, stage, steps, decisions } = settings
    const trainsRouters = stage === 'routers'
    const tau = trainsRouters ? temperature(n * accumulation, accumulation, steps) : 1
    const sum = { loss: 0, crossEntropy: 0, executeRate: 0 }
    for (let i = 0; i < accumulation; i++) {
      const counter = n * accumulation + i
      const losses = await this.parts.gradient.run({
        ...{ ids: drawBatch(windows, batch, streamSeed(seed, 'batches'), counter), ends, tau, accumulation },
        ...(trainsRouters && { executeRate: 1 - target, coefficient }),
        ...((trainsRouters || decisions === 'sampled') && { noise: { seed: streamSeed(seed, 'noise'), counter } }),
      })
      sum.loss += losses.loss / accumulation
      sum.crossEntropy += losses.crossEntropy / accumulation
      sum.executeRate += losses.executeRate / accumulation
    }
    return { step: n, ...sum, tau }
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
    const { trained, optimiser } = this.parts
    trained.write(state.values)
    optimiser.restore(state.history.length, state)
    this.#history = [...state.history]
    this.#watch = new LossWatch(state.history.map(({ loss }) => loss))
    this.#good = state
  }
}

type Parts = Awaited<ReturnType<typeof build>>

/** Nothing stays allocated after a failure. */
async function build(target: Target, weights: ModelWeights, { settings, routers, lora }: TrainingInputs) {
  const { gpu } = target
  const { stage, batch, length, input, rank, alpha, targets } = settings
  const owned: { destroy(): void }[] = []
  const own = <T extends { destroy(): void }>(part: T): T => {
    owned.push(part)
    return part
  }
  const destroy = () => {
    for (const part of owned) part.destroy()
  }
  try {
    const ofRouters = own(new Parameters(gpu, routers, stage === 'routers'))
    const ofLora = lora && own(new Parameters(gpu, lora, stage === 'lora'))
    const width = routers.find(({ name }) => name.endsWith('hidden_layer.bias'))?.shape[0]
    const gradient = own(
      await GradientStep.create(target, weights, {
        ...{ batch, length, routers: { parameters: ofRouters, input, ...(width !== undefined && { width }) } },
        ...(ofLora && { lora: { parameters: ofLora, rank, alpha, targets } }),
      }),
    )
    const trained = stage === 'routers' ? ofRouters : (ofLora as Parameters)
    const optimiser = own(await Optimiser.create(gpu, trained))
    return { gradient, trained, optimiser, destroy }
  } catch (error) {
    destroy()
    throw error
  }
}
