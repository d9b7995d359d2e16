import type { Engine } from '../../runtime/engine.js'
import { forgetGates } from '../../runtime/gates/gate-resources.js'
import {
  GATESKIP_TENSORS,
  type GateSkipWeights,
  gateskip as gateskipPolicy,
  readGateSkip,
} from '../../skip/gateskip.js'
import type { PolicyContext } from '../../skip/policy-context.js'
import type { Margins } from '../../skip/quantile.js'
import { decisions } from '../../study/budget.js'
import { gateFiles } from '../../tuning/export.js'
import { initialGates } from '../../tuning/initial-gates.js'
import { checkParameters } from '../../tuning/memory.js'
import type { ParameterTensor } from '../../tuning/parameters.js'
import { streamSeed } from '../../tuning/streams.js'
import { firstWindows, foundOnce, refuseToGuess, type Tuned, type TuneStage } from './stage.js'

/** Tokens of the text it trains on by which thresholds are found, in whole windows. Hundreds of tokens lie below a threshold then. */
const CALIBRATION_TOKENS = 4096

/** GateSkip's gates. Training keeps a share of the tokens of each batch; inference has thresholds, at which the target is skipped of the text it trains on. */
export const gateskip: TuneStage = {
  async begin(host, shape, { seed }, existing) {
    const { parts } = host
    const d = shape.config.hiddenSize
    const { target } = await host.engine()
    checkParameters(target, 4 * shape.sublayers * (d * d + d), 'Train routers instead, or choose a smaller model.')
    const there = await parts.tensors(GATESKIP_TENSORS)
    refuseToGuess(there.size > 0, existing, 'gates')
    if (there.size === 0 || existing === 'replace') {
      return { trained: initialGates(shape, streamSeed(seed, 'parameters')) }
    }
    const own = [...there].filter(([name]) => !name.endsWith('threshold'))
    return { trained: own.map(([name, { shape, data }]) => ({ name, shape, data })) }
  },

  async withPolicy(tuned, work, signal) {
    const tensors = await withThresholds(tuned, signal)
    return withGates(await tuned.host.engine(), tuned, tensors, async (weights) =>
      work(await gateskipPolicy({}, weights, measureNothing)),
    )
  },

  async files(tuned) {
    return gateFiles(await withThresholds(tuned), tuned.inputs.settings, tuned.origin)
  },

  async use(tuned) {
    const { host } = tuned
    const before = inUse.get(host)
    // The same gates are not put on the GPU again.
    if (before?.tuned === tuned) return
    const own = byName(await withThresholds(tuned))
    const others = before?.others ?? host.parts.tensors
    inUse.set(host, { tuned, others })
    host.parts.tensors = async (names) => {
      const found = new Map([...own].filter(([name]) => names.test(name)))
      return found.size > 0 ? found : others(names)
    }
    host.calibrator = undefined
  },
}

/** Of each model, the state of a run that it decides by, and the tensors that it has without that. */
const inUse = new WeakMap<object, { readonly tuned: Tuned; readonly others: PolicyContext['tensors'] }>()

const measureNothing: Margins = async () => []

/** The gates, and the threshold of each sublayer at which the target is skipped. */
const withThresholds = foundOnce(async (tuned, signal) => {
  const { host, inputs, tensors } = tuned
  const { target } = inputs.settings
  const engine = await host.engine()
  const windows = firstWindows(inputs, CALIBRATION_TOKENS)
  const { contextLength } = host.config
  const margins: Margins = async (policy) => {
    const { margins: rows } = await decisions(engine, policy, windows, { contextLength, signal })
    return Array.from({ length: engine.shape.sublayers }, (_, sublayer) => rows.map((row) => row[sublayer] as number))
  }
  const thresholds = await withGates(engine, tuned, tensors, async (weights) => {
    const { threshold } = await gateskipPolicy({ skip: target }, weights, margins)
    return Array.from({ length: engine.shape.sublayers }, (_, i) => ({
      name: `model.layers.${i >> 1}.gate_${i % 2 === 0 ? 'attention' : 'mlp'}.threshold`,
      shape: [1],
      data: Float32Array.of(threshold(i)),
    }))
  })
  return [...tensors, ...thresholds]
})

/** Gates of their own for as long as the work takes: the next state of the run has others. */
async function withGates<T>(
  engine: Engine,
  { host }: Tuned,
  tensors: readonly ParameterTensor[],
  work: (weights: GateSkipWeights) => Promise<T>,
): Promise<T> {
  const weights = readGateSkip(byName(tensors), host.config)
  try {
    return await work(weights)
  } finally {
    for (const gates of [weights.attention, weights.mlp]) forgetGates(engine, gates)
  }
}

function byName(tensors: readonly ParameterTensor[]): ReadonlyMap<string, ParameterTensor> {
  return new Map(tensors.map((tensor) => [tensor.name, tensor]))
}
