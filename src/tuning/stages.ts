import type { GpuDevice } from '../gpu/device.js'
import type { Gating } from './gating.js'
import type { TrainedLora } from './lora.js'
import { Parameters, type ParameterTensor } from './parameters.js'
import { residualGating } from './residual-gates.js'
import { routerGating } from './routers.js'
import { keptShare, temperature, warmCosine } from './schedules.js'
import type { Stage, TrainingSettings } from './settings.js'
import type { StepInput } from './step-input.js'
import { streamSeed } from './streams.js'

export interface TrainingInputs {
  readonly settings: TrainingSettings
  /** Of `settings.length` ids each. */
  readonly windows: readonly (readonly number[])[]
  /** Tokens behind which nothing is predicted. */
  readonly ends: ReadonlySet<number>
  /** What trains, as it begins: both logits of every router by official names, a LoRA, or gates. */
  readonly trained: readonly ParameterTensor[]
  /** Of a LoRA: the routers under which it trains, and which stay as they are. */
  readonly under?: readonly ParameterTensor[] | undefined
}

/** What a stage trains, and how its steps go. */
export interface Training {
  /** What trains. */
  readonly parameters: Parameters
  readonly gating: Gating
  readonly lora?: TrainedLora
  /** What batches of step n are told, counted from 0; `counter` counts batches over all steps. */
  input(step: number, counter: number): Pick<StepInput, 'noise' | 'executeRate' | 'coefficient'> & { tau: number }
  /** The share of the learning rate at step n. */
  rate(step: number): number
  /** How many times its least mean the loss may reach before the run counts as diverged. */
  readonly mayRise: number
}

/** Runs of these begin with a loss that they only have to lower: random routers, or a model as it was. Batches of a few hundred tokens differ by less. */
const LITTLE = 2

/** Makes what a stage needs on a device; `own` destroys it later. */
type MakeTraining = (
  gpu: GpuDevice,
  inputs: TrainingInputs,
  own: <T extends { destroy(): void }>(part: T) => T,
) => Training

export const STAGES: Readonly<Record<Stage, MakeTraining>> = {
  routers(gpu, { settings, trained }, own) {
    const { seed, steps, accumulation, target, coefficient } = settings
    const parameters = own(new Parameters(gpu, trained, true))
    return {
      parameters,
      gating: gatingOf(parameters, trained, settings),
      input: (step, counter) => ({
        noise: { seed: streamSeed(seed, 'noise'), counter },
        tau: temperature(step * accumulation, accumulation, steps),
        ...{ executeRate: 1 - target, coefficient },
      }),
      rate: () => 1,
      mayRise: LITTLE,
    }
  },

  lora(gpu, { settings, trained, under = [] }, own) {
    const { seed, steps, decisions, rank, alpha, targets } = settings
    const parameters = own(new Parameters(gpu, trained, true))
    const routers = own(new Parameters(gpu, under, false))
    return {
      parameters,
      gating: gatingOf(routers, under, settings),
      lora: { parameters, rank, alpha, targets },
      input: (_, counter) => ({
        tau: 1,
        ...(decisions === 'sampled' && { noise: { seed: streamSeed(seed, 'noise'), counter } }),
      }),
      rate: (step) => warmCosine(step, steps),
      mayRise: LITTLE,
    }
  },

  gateskip(gpu, { settings, trained }, own) {
    const { steps, target, coefficient } = settings
    const parameters = own(new Parameters(gpu, trained, true))
    return {
      parameters,
      gating: residualGating(parameters),
      // Nothing is drawn by lot, so that there is no temperature.
      input: (step) => ({ tau: 1, executeRate: keptShare(step, steps, target), coefficient }),
      rate: () => 1,
      // It begins with everything open and kept. As less is kept, the loss rises as far as the model suffers.
      mayRise: Number.POSITIVE_INFINITY,
    }
  },
}

function gatingOf(
  parameters: Parameters,
  tensors: readonly ParameterTensor[],
  { input }: Pick<TrainingSettings, 'input'>,
): Gating {
  const width = tensors.find(({ name }) => name.endsWith('hidden_layer.bias'))?.shape[0]
  return routerGating({ parameters, input, ...(width !== undefined && { width }) })
}
