import { SkipstoneError } from '../../errors.js'
import type { SkipPolicy } from '../../skip/policy.js'
import { readRouters } from '../../skip/router-weights.js'
import { skipgptPolicy } from '../../skip/skipgpt.js'
import { calibrateDelta } from '../../study/budget.js'
import { adapterFiles, routerFiles } from '../../tuning/export.js'
import { initialLora, initialRouters, unfoldRouters } from '../../tuning/initial.js'
import type { ParameterTensor } from '../../tuning/parameters.js'
import { streamSeed } from '../../tuning/streams.js'
import type { TrainingInputs } from '../../tuning/training.js'
import type { TuneHost } from '../tune-host.js'
import { firstWindows, foundOnce, refuseToGuess, type TuneStage } from './stage.js'

/** Tokens of the text it trains on by which a threshold is found, in whole windows: tens of thousands of decisions, and some ten passes. */
const CALIBRATION_TOKENS = 512

/**
 * SkipGPT's stage 1. Decisions by lot skip the target while routers train; what they decide by arg-max is less as long as they are in doubt, and
 * routers of the scaled recipe begin far on the side of running. Their threshold is set on the text that they train on, and is part of their biases.
 */
export const routers: TuneStage = {
  async begin({ routers }, shape, { seed, recipe }, existing) {
    refuseToGuess(routers !== undefined, existing, 'routers')
    const given = existing === 'continue' ? routers : undefined
    return { trained: given ? unfoldRouters(given) : initialRouters(shape, streamSeed(seed, 'parameters'), recipe) }
  },
  async withPolicy(tuned, work, signal) {
    return work(policyOf(tuned.host, tuned.inputs, await onTarget(tuned, signal)))
  },
  async files(tuned) {
    // What was learnt is not lost with a model or a device; without them there is no threshold to find.
    const tensors = await onTarget(tuned).catch((error: Error) => {
      tuned.host.parts.warn(
        `These routers have no threshold for their target, as it could not be found: ${error.message}`,
      )
      return tuned.tensors
    })
    return routerFiles(tensors, tuned.inputs.settings, tuned.origin)
  },
  async use(tuned) {
    const { host } = tuned
    host.routers = read(host, await onTarget(tuned))
    host.calibrator = undefined
  },
}

/** The routers, with biases at which they skip the target by arg-max. */
const onTarget = foundOnce(async ({ host, inputs, tensors }, signal) => {
  const { target, recipe, input } = inputs.settings
  if (recipe === 'published') return tensors
  const windows = firstWindows(inputs, CALIBRATION_TOKENS)
  const weights = read(host, tensors)
  const policyAt = (delta: number) => skipgptPolicy({ routers: weights, delta, input })
  const { contextLength } = host.config
  const delta = await calibrateDelta(await host.engine(), policyAt, target, windows, { contextLength, signal })
  return tensors.map((tensor): ParameterTensor => {
    const [run = 0, skip = 0] = tensor.data
    return tensor.name.endsWith('weight_predictor.bias')
      ? { ...tensor, data: Float32Array.of(run - delta, skip) }
      : tensor
  })
})

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
