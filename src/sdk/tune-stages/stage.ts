import { SkipstoneError } from '../../errors.js'
import type { RuntimeShape } from '../../runtime/shape.js'
import type { SkipPolicy } from '../../skip/policy.js'
import type { TunedFiles } from '../../tuning/export.js'
import type { ParameterTensor } from '../../tuning/parameters.js'
import type { TrainingSettings } from '../../tuning/settings.js'
import type { TrainingInputs } from '../../tuning/training.js'
import type { TuneOptions } from '../tune-api.js'
import type { TuneHost } from '../tune-host.js'

/** What a run has come to. */
export interface Tuned {
  readonly host: TuneHost
  readonly inputs: TrainingInputs
  /** What trains, as it is. */
  readonly tensors: readonly ParameterTensor[]
  /** What files say of where they come from. */
  readonly origin: Readonly<Record<string, string>>
}

/** What a model gives to a stage of training, and what it can do with what comes out. */
export interface TuneStage {
  /** @throws `bad-option`, `missing-weights`, `unsupported` where the model is none to begin with. */
  begin(
    host: TuneHost,
    shape: RuntimeShape,
    settings: TrainingSettings,
    existing: TuneOptions['existing'],
  ): Promise<Pick<TrainingInputs, 'trained' | 'under'>>
  /** Works with the policy that skips as the run's gates say. */
  withPolicy<T>(tuned: Tuned, work: (policy: SkipPolicy) => Promise<T>, signal?: AbortSignal): Promise<T>
  files(tuned: Tuned): Promise<TunedFiles>
  /** Gives it to the model. */
  use(tuned: Tuned): Promise<void>
}

/** @throws `bad-option` where the model has what is to be trained, and nobody says what becomes of it. */
export function refuseToGuess(has: boolean, existing: TuneOptions['existing'], what: string): void {
  if (!has || existing !== undefined) return
  throw new SkipstoneError(
    'bad-option',
    `This model has ${what} already. Give existing: "replace" to train new ones, or "continue" to go on with these.`,
  )
}

/** The windows that a run trains on first, whole ones of so many tokens at most, but one at least: by them thresholds are found. */
export function firstWindows({ windows, settings }: TrainingInputs, tokens: number): TrainingInputs['windows'] {
  return windows.slice(0, Math.max(1, Math.floor(tokens / settings.length)))
}

type Find = (tuned: Tuned, signal?: AbortSignal) => Promise<readonly ParameterTensor[]>

/** Finds it once for every state of a run. */
export function foundOnce(find: Find): Find {
  const found = new WeakMap<Tuned, readonly ParameterTensor[]>()
  return async (tuned, signal) => {
    const known = found.get(tuned) ?? (await find(tuned, signal))
    found.set(tuned, known)
    return known
  }
}
