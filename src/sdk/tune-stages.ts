import { SkipstoneError } from '../errors.js'
import type { RuntimeShape } from '../runtime/shape.js'
import type { SkipPolicy } from '../skip/policy.js'
import { readRouters } from '../skip/router-weights.js'
import { skipgptPolicy } from '../skip/skipgpt.js'
import { adapterFiles, routerFiles, type TunedFiles } from '../tuning/export.js'
import { initialLora, initialRouters, unfoldRouters } from '../tuning/initial.js'
import type { ParameterTensor } from '../tuning/parameters.js'
import type { Stage, TrainingSettings } from '../tuning/settings.js'
import type { TrainingInputs } from '../tuning/stages.js'
import { streamSeed } from '../tuning/streams.js'
import type { TuneOptions } from './tune-api.js'
import type { TuneHost } from './tune-host.js'

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

const routers: TuneStage = {
  async begin({ routers }, shape, { seed }, existing) {
    refuseToGuess(routers !== undefined, existing, 'routers')
    const given = existing === 'continue' ? routers : undefined
    return { trained: given ? unfoldRouters(given) : initialRouters(shape, streamSeed(seed, 'parameters')) }
  },
  withPolicy: ({ host, inputs, tensors }, work) => work(policyOf(host, inputs, tensors)),
  files: async ({ inputs, tensors, origin }) => routerFiles(tensors, inputs.settings, origin),
  async use({ host, tensors }) {
    host.routers = read(host, tensors)
    host.calibrator = undefined
  },
}

const lora: TuneStage = {
  async begin({ routers, parts }, shape, settings) {
    // What is exported would fit the merged weights only, and a model loads with one LoRA.
    if (parts.merged) {
      throw new SkipstoneError(
        'unsupported',
        'This model was loaded with a LoRA, and one trained on top of it could not be loaded again, as a model takes one LoRA. Load the model without it, or merge it into the checkpoint first.',
      )
    }
    if (!routers) {
      throw new SkipstoneError(
        'missing-weights',
        'A LoRA is trained under routers, and this model has none: train routers first, and load the model with them or call use() of their run.',
      )
    }
    const trained = initialLora(shape, settings, streamSeed(settings.seed, 'parameters'))
    return { trained, under: unfoldRouters(routers) }
  },
  withPolicy: ({ host, inputs }, work) => work(policyOf(host, inputs, inputs.under ?? [])),
  files: async ({ inputs, tensors }) => adapterFiles(tensors, inputs.settings),
  async use() {
    throw new SkipstoneError(
      'unsupported',
      'A LoRA is merged while a model loads: export it, and load the model with it.',
    )
  },
}

export const TUNE_STAGES: Readonly<Record<Stage, TuneStage>> = { routers, lora }

/** @throws `bad-option` where the model has what is to be trained, and nobody says what becomes of it. */
function refuseToGuess(has: boolean, existing: TuneOptions['existing'], what: string): void {
  if (!has || existing !== undefined) return
  throw new SkipstoneError(
    'bad-option',
    `This model has ${what} already. Give existing: "replace" to train new ones, or "continue" to go on with these.`,
  )
}

function policyOf(host: TuneHost, { settings }: TrainingInputs, tensors: readonly ParameterTensor[]): SkipPolicy {
  return skipgptPolicy({ routers: read(host, tensors), input: settings.input })
}

function read({ config }: TuneHost, tensors: readonly ParameterTensor[]) {
  const named = tensors.map((tensor) => [tensor.name, tensor] as const)
  return readRouters(named, config.hiddenSize, config.layers)
}
