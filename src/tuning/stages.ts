import type { Gating } from './gating.js'
import { Parameters, type ParameterTensor } from './parameters.js'
import { routerRates } from './router-rates.js'
import { routerGating } from './routers.js'
import { temperature, warmCosine } from './schedules.js'
import type { Stage, TrainingSettings } from './settings.js'
import { streamSeed } from './streams.js'
import type { MakeTraining } from './training.js'

/** Runs of these begin with a loss that they only have to lower: random routers, or a model as it was. Batches of a few hundred tokens differ by less. */
const LITTLE = 2

export const STAGES: Readonly<Record<Stage, MakeTraining>> = {
  routers(gpu, { settings, trained }, own) {
    const { seed, steps, accumulation, target, coefficient, recipe, input } = settings
    const parameters = own(new Parameters(gpu, trained, true))
    return {
      parameters,
      gating: gatingOf(parameters, trained, settings),
      input: (step, counter) => ({
        noise: { seed: streamSeed(seed, 'noise'), counter },
        tau: temperature(step * accumulation, accumulation, steps),
        ...{ executeRate: 1 - target, coefficient },
      }),
      ...(recipe === 'scaled'
        ? { rate: (step) => warmCosine(step, steps), rates: (sizes) => routerRates(trained, sizes, input) }
        : { rate: () => 1 }),
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

  // Few train these.
  gateskip: async (...given) => (await import('./gateskip-training.js')).gateskipTraining(...given),
}

function gatingOf(
  parameters: Parameters,
  tensors: readonly ParameterTensor[],
  { input }: Pick<TrainingSettings, 'input'>,
): Gating {
  const width = tensors.find(({ name }) => name.endsWith('hidden_layer.bias'))?.shape[0]
  return routerGating({ parameters, input, ...(width !== undefined && { width }) })
}
