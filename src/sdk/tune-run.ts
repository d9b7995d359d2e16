import { throwIfAborted } from '../errors.js'
import { dense } from '../skip/dense.js'
import type { SkipPolicy } from '../skip/policy.js'
import { tuningMemory } from '../storage/tuning-memory.js'
import { type Evaluation, evaluate } from '../study/evaluate.js'
import type { TunedFiles } from '../tuning/export.js'
import type { TrainingInputs } from '../tuning/training.js'
import { TrainingRun, type TrainingState } from '../tuning/training-run.js'
import type { TuneEvaluation, TuneOptions, TuneRun, TuneStep } from './tune-api.js'
import type { TuneHost } from './tune-host.js'
import type { Tuned, TuneStage } from './tune-stages/stage.js'
import { StepReaders } from './tune-steps.js'

const SAVE_EVERY = 25

export interface TuneRunParts {
  readonly host: TuneHost
  readonly stage: TuneStage
  readonly options: TuneOptions
  readonly inputs: TrainingInputs
  readonly held: readonly (readonly number[])[]
  /** Of what the browser's database keeps. */
  readonly key: string
  readonly fingerprint: string
}

/** A run on an engine of this thread. It holds memory on the GPU until it ends; what it reached stays on this side. */
export class EngineTuneRun implements TuneRun {
  readonly done: Promise<void>
  /** Undefined once the run has ended. */
  #run: TrainingRun | undefined
  #state: TrainingState
  #dense: Promise<Evaluation> | undefined
  #known: { readonly steps: number; readonly tuned: Tuned } | undefined
  #stopped = false
  #paused = false
  #saves = true
  /** Fulfilled where the run may go on. */
  #going: Promise<void> = Promise.resolve()
  #go = () => {}
  /** Whoever uses the GPU side of the run waits for who did before. */
  #last: Promise<unknown> = Promise.resolve()
  readonly #readers = new StepReaders()

  constructor(
    private readonly parts: TuneRunParts,
    run: TrainingRun,
  ) {
    this.#run = run
    this.#state = run.good
    this.done = this.#train(run)
    // Whoever waits for it is told.
    this.done.catch(() => undefined)
  }

  get key(): string {
    return this.parts.key
  }

  get stage() {
    return this.parts.inputs.settings.stage
  }

  get total(): number {
    return this.parts.inputs.settings.steps
  }

  get steps(): readonly TuneStep[] {
    return this.#run?.history ?? this.#state.history
  }

  get held(): readonly (readonly number[])[] {
    return this.parts.held
  }

  async pause(): Promise<void> {
    if (!this.#paused) {
      this.#paused = true
      this.#going = new Promise((resolve) => {
        this.#go = resolve
      })
    }
    await this.#alone(async (run) => run && this.#keep(run))
  }

  resume(): void {
    this.#paused = false
    this.#go()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.resume()
    await this.done
  }

  rates(): Promise<readonly number[] | undefined> {
    return this.#alone(async (run) => (run && run.history.length > 0 ? run.rates() : undefined))
  }

  async evaluate({ signal }: { signal?: AbortSignal } = {}): Promise<TuneEvaluation> {
    const { host, stage, inputs, held } = this.parts
    const state = await this.#present()
    host.check()
    const engine = await host.engine()
    const options = { contextLength: host.config.contextLength, ends: inputs.ends, ...(signal && { signal }) }
    this.#dense ??= evaluate(engine, dense, held, options)
    const plain = await this.#dense.catch((error: unknown) => {
      this.#dense = undefined
      throw error
    })
    const measure = (policy: SkipPolicy) => evaluate(engine, policy, held, options)
    const routed = await stage.withPolicy(this.#tuned(state), measure, signal)
    const { attention, mlp, total } = routed.skip
    return {
      ...{ windows: held.length, tokens: plain.tokens, dense: plain.nll, routed: routed.nll },
      skip: { attention, mlp, total },
      ...(this.stage === 'lora' && { adapted: await this.#adapted(state) }),
    }
  }

  async export(): Promise<TunedFiles> {
    return this.parts.stage.files(this.#tuned(await this.#present()))
  }

  async use(): Promise<void> {
    await this.parts.stage.use(this.#tuned(await this.#present()))
  }

  async forget(): Promise<void> {
    this.#saves = false
    await tuningMemory.delete(this.key)
  }

  [Symbol.asyncIterator](): AsyncGenerator<TuneStep, void> {
    return this.#readers.read(
      () => this.steps,
      () => this.#run === undefined,
      this.done,
    )
  }

  async #train(run: TrainingRun): Promise<void> {
    const { host, options } = this.parts
    const { signal, onStep, saveEvery = SAVE_EVERY } = options
    signal?.addEventListener('abort', () => this.resume(), { once: true })
    try {
      // Who made the run has it before its first step.
      await undefined
      while (!run.isDone && !this.#stopped) {
        await this.#going
        throwIfAborted(signal)
        host.check()
        if (this.#stopped) break
        const step = await this.#alone(() => run.step())
        this.#readers.tell()
        onStep?.(step)
        if (saveEvery > 0 && run.history.length % saveEvery === 0) await this.#alone(() => this.#keep(run))
      }
    } catch (error) {
      // A device that goes away is not the run's fault, nor is a model that was disposed of meanwhile.
      host.check()
      throw error
    } finally {
      await this.#alone(() => this.#keep(run)).catch(() => undefined)
      this.#state = run.good
      this.#run = undefined
      run.destroy()
      this.#readers.tell()
    }
  }

  /** Reads the state, and keeps it where the site can. */
  async #keep(run: TrainingRun): Promise<void> {
    this.#state = await run.state()
    if (!this.#saves || this.parts.options.saveEvery === 0) return
    await tuningMemory.set(this.parts.key, this.#state).catch((error: Error) => {
      // Once is enough.
      this.#saves = false
      this.parts.host.parts.warn(error.message)
    })
  }

  #present(): Promise<TrainingState> {
    return this.#alone(async (run) => (run ? run.state() : this.#state))
  }

  #alone<T>(work: (run: TrainingRun | undefined) => Promise<T>): Promise<T> {
    const mine = this.#last.then(() => work(this.#run))
    this.#last = mine.catch(() => undefined)
    return mine
  }

  /** The same object for the same number of steps: what was found for it is found once. */
  #tuned(state: TrainingState): Tuned {
    const steps = state.history.length
    if (this.#known?.steps === steps) return this.#known.tuned
    const { host, inputs, fingerprint } = this.parts
    let at = 0
    const tensors = inputs.trained.map(({ name, shape, data }) => {
      const first = at
      at += data.length
      return { name, shape, data: state.values.slice(first, at) }
    })
    const tuned = { host, inputs, tensors, origin: { base_fingerprint: fingerprint, steps: String(steps) } }
    this.#known = { steps, tuned }
    return tuned
  }

  /** With the LoRA of a state: a run that has ended is made again for as long as that takes. */
  async #adapted(state: TrainingState) {
    const { host, inputs, held } = this.parts
    return this.#alone(async (run) => {
      if (run) return run.measure(held)
      const { target, weights } = await host.engine()
      const again = await TrainingRun.create(target, weights, inputs, state)
      try {
        return await again.measure(held)
      } finally {
        again.destroy()
      }
    })
  }
}
