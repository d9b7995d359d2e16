import type { TuneEvaluation, TuneOptions, TuneRun, TuneStep } from '../sdk/tune-api.js'
import { StepReaders } from '../sdk/tune-steps.js'
import type { Channel } from './channel.js'
import type { TuneArgs, TuneBegun, TuneRequest } from './protocol.js'

/** What a run needs of its model on the page. */
export interface TuneOwner {
  readonly channel: Channel
  readonly model: number
  /** The number of the run. */
  readonly run: number
  /** The model has routers from now on. */
  routed(): void
  /** @throws `disposed`. */
  check(): void
}

/** Begins a run in the worker. */
export async function tuneInWorker(owner: TuneOwner, options: TuneOptions): Promise<WorkerTuneRun> {
  const { signal, onStep, onProgress, ...rest } = options
  const onEvent = onProgress && (({ done, all }: { done: number; all: number }) => onProgress(done, all))
  const begun = await ask<TuneBegun>(owner, { ask: 'begin', options: rest }, { signal, onEvent })
  return new WorkerTuneRun(owner, begun, { signal, onStep })
}

/** A run of training whose engine is in a worker. Its steps are kept here as they come. */
export class WorkerTuneRun implements TuneRun {
  readonly key: string
  readonly stage: TuneRun['stage']
  readonly total: number
  readonly held: TuneRun['held']
  readonly steps: TuneStep[]
  readonly done: Promise<void>
  #ended = false
  readonly #readers = new StepReaders()

  constructor(
    private readonly owner: TuneOwner,
    { key, stage, total, held, steps }: TuneBegun,
    { signal, onStep }: Pick<TuneOptions, 'signal' | 'onStep'>,
  ) {
    this.key = key
    this.stage = stage
    this.total = total
    this.held = held
    this.steps = [...steps]
    const onEvent = (step: TuneStep) => {
      // Those of an earlier run come again.
      if (step.step < this.steps.length) return
      this.steps.push(step)
      this.#readers.tell()
      onStep?.(step)
    }
    this.done = ask<void>(owner, { ask: 'follow' }, { signal, onEvent }).finally(() => {
      this.#ended = true
      this.#readers.tell()
    })
    // Whoever waits for it is told.
    this.done.catch(() => undefined)
  }

  pause(): Promise<void> {
    return this.#ask('pause')
  }

  resume(): void {
    void this.#ask('resume').catch(() => undefined)
  }

  stop(): Promise<void> {
    return this.#ask('stop')
  }

  rates(): Promise<readonly number[] | undefined> {
    return this.#ask('rates')
  }

  evaluate({ signal }: { signal?: AbortSignal } = {}): Promise<TuneEvaluation> {
    return this.#ask('evaluate', signal)
  }

  export(): Promise<ReadonlyMap<string, Uint8Array<ArrayBuffer>>> {
    return this.#ask('export')
  }

  async use(): Promise<void> {
    await this.#ask('use')
    if (this.stage === 'routers') this.owner.routed()
  }

  forget(): Promise<void> {
    return this.#ask('forget')
  }

  [Symbol.asyncIterator](): AsyncGenerator<TuneStep, void> {
    return this.#readers.read(
      () => this.steps,
      () => this.#ended,
      this.done,
    )
  }

  #ask<T>(what: Exclude<TuneRequest['ask'], 'begin'>, signal?: AbortSignal): Promise<T> {
    return ask<T>(this.owner, { ask: what }, { signal })
  }
}

async function ask<T>(
  { channel, model, run, check }: TuneOwner,
  request: TuneRequest,
  options: Parameters<Channel['call']>[2],
): Promise<T> {
  try {
    return await channel.call<T>('tune', { model, run, request } satisfies TuneArgs, options)
  } catch (error) {
    check()
    throw error
  }
}
