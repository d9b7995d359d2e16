import { SkipstoneError } from '../../errors.js'
import type { SkipPolicy } from '../../skip/policy.js'
import { readRouters } from '../../skip/router-weights.js'
import { skipgptPolicy } from '../../skip/skipgpt.js'
import { adapterFiles, routerFiles } from '../../tuning/export.js'
import { initialLora, initialRouters, unfoldRouters } from '../../tuning/initial.js'
import type { ParameterTensor } from '../../tuning/parameters.js'
import { streamSeed } from '../../tuning/streams.js'
import type { TrainingInputs } from '../../tuning/training.js'
import type { TuneHost } from '../tune-host.js'
import { refuseToGuess, type TuneStage } from './stage.js'

/** SkipGPT's stage 1. */
export const routers: TuneStage = {
  async begin({ routers }, shape, { seed, recipe }, existing) {
    refuseToGuess(routers !== undefined, existing, 'routers')
    const given = existing === 'continue' ? routers : undefined
    return { trained: given ? unfoldRouters(given) : initialRouters(shape, streamSeed(seed, 'parameters'), recipe) }
  },
  withPolicy: ({ host, inputs, tensors }, work) => work(policyOf(host, inputs, tensors)),
  files: async ({ inputs, tensors, origin }) => routerFiles(tensors, inputs.settings, origin),
  async use({ host, tensors }) {
    host.routers = read(host, tensors)
    host.calibrator = undefined
  },
}

/** SkipGPT's stage 2. */
export const lora: TuneStage = {
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

function policyOf(host: TuneHost, { settings }: TrainingInputs, tensors: readonly ParameterTensor[]): SkipPolicy {
  return skipgptPolicy({ routers: read(host, tensors), input: settings.input })
}

function read({ config }: TuneHost, tensors: readonly ParameterTensor[]) {
  const named = tensors.map((tensor) => [tensor.name, tensor] as const)
  return readRouters(named, config.hiddenSize, config.layers)
}
