/** A whole step of training GateSkip's gates: its losses against the reference model, its gradients against differences of that. */
import { expect, it } from 'vitest'
import { nll } from '../../src/kernels/reference/nll.js'
import { GradientStep } from '../../src/tuning/gradient-step.js'
import { Parameters, type ParameterTensor } from '../../src/tuning/parameters.js'
import { channelGates, keepRanked, squaresPenalty } from '../../src/tuning/reference/channel-gates.js'
import { residualGating } from '../../src/tuning/residual-gates.js'
import { Prng } from '../fixtures/prng.js'
import { type TinyModel, tinyModel } from '../fixtures/tiny-model.js'
import { gpuSuite, noise } from '../gpu/testing.js'
import { type HubConfig, referenceConfig } from '../reference/hub-config.js'
import { ReferenceModel } from '../reference/model.js'
import { plainFrequencies, ropeRow } from '../reference/rope-rows.js'
import { withWeights } from '../tuning/support.js'

const BATCH = 2
const LENGTH = 13
const ROWS = BATCH * LENGTH
const LAYERS = 2
const RATE = 0.7
const COEFFICIENT = 5
const EPSILON = 1e-4

const prng = new Prng(4)
const ids = Uint32Array.from({ length: ROWS }, () => 3 + prng.below(90))

type Gates = ReadonlyMap<string, ParameterTensor>

/** So wide that gates differ, and that none is flat. */
function randomGates(d: number): Gates {
  const names = Array.from({ length: 2 * LAYERS }, (_, i) => nameOf(i))
  const tensors = names.flatMap((name): ParameterTensor[] => [
    { name: `${name}.weight`, shape: [d, d], data: noise(prng, d * d, 0.5 / Math.sqrt(d)) },
    { name: `${name}.bias`, shape: [d], data: noise(prng, d) },
  ])
  return new Map(tensors.map((tensor) => [tensor.name, tensor]))
}

function nameOf(sublayer: number): string {
  return `model.layers.${sublayer >> 1}.gate_${sublayer % 2 === 0 ? 'attention' : 'mlp'}`
}

/**
 * The loss of the batch in f64 with these decisions [2 layers, rows]. What gates read is noted in `read` where that is empty, and taken from it where it
 * is not: no gradient goes through it.
 */
function referenceLoss(tiny: TinyModel, gates: Gates, kept: ArrayLike<number>, read: Map<string, Float64Array>) {
  const hub = tiny.hub as unknown as HubConfig
  const config = referenceConfig(hub)
  const d = config.hiddenSize
  const model = new ReferenceModel(config, tiny.tensors, ropeRow(plainFrequencies(hub.rope_theta, config.headDim)))
  const all: number[] = []
  const scores = Array.from({ length: 2 * LAYERS }, () => [] as number[])
  let entropy = 0
  for (let sequence = 0; sequence < BATCH; sequence++) {
    const own = ids.slice(sequence * LENGTH, (sequence + 1) * LENGTH)
    const gateOf = (sublayer: number) => {
      const weight = gates.get(`${nameOf(sublayer)}.weight`)!.data
      const bias = gates.get(`${nameOf(sublayer)}.bias`)!.data
      const first = sequence * LENGTH
      let row = first
      return {
        reads: 'normed' as const,
        gate: (t: Float64Array) => {
          const key = `${sublayer} ${row++}`
          const u = read.get(key) ?? t.slice()
          read.set(key, u)
          const v = Array.from({ length: d }, (_, i) => u.reduce((sum, x, j) => sum + weight[i * d + j]! * x, 0))
          const made = channelGates(v, bias)
          all.push(...made.gates)
          scores[sublayer]!.push(made.scores[0]!)
          return made.gates
        },
        runs: (_: number, position: number) => kept[sublayer * ROWS + first + position] === 1,
        output: (g: number) => g,
      }
    }
    const { logits } = model.forward(own, { gates: gateOf })
    entropy += nll(logits, own.slice(1), LENGTH - 1, config.vocabSize).reduce((a, b) => a + b, 0)
  }
  const crossEntropy = entropy / (BATCH * (LENGTH - 1))
  return { crossEntropy, loss: crossEntropy + squaresPenalty(all, COEFFICIENT), scores }
}

gpuSuite('a step of residual gates', (bench) => {
  it('has the losses and the gradients of the reference model', async () => {
    const tiny = tinyModel({ layers: LAYERS })
    await withWeights(bench.gpu, tiny.source, tiny.hub, 'stored', async (target, weights) => {
      const gates = randomGates(target.shape.config.hiddenSize)
      const parameters = new Parameters(bench.gpu, [...gates.values()], true)
      const options = { batch: BATCH, length: LENGTH, slice: 40, gating: residualGating(parameters) }
      const step = await GradientStep.create(target, weights, options)
      const input = { ids, executeRate: RATE, coefficient: COEFFICIENT }
      const losses = await step.run(input)
      const kept = await step.gates()
      const read = new Map<string, Float64Array>()
      const expected = referenceLoss(tiny, gates, kept, read)
      expect(losses.crossEntropy).toBeCloseTo(expected.crossEntropy, 5)
      expect(losses.loss).toBeCloseTo(expected.loss, 5)
      expect(losses.executeRate).toBeCloseTo(Math.round(RATE * ROWS) / ROWS, 6)
      for (const [sublayer, scores] of expected.scores.entries()) {
        expect([...kept.subarray(sublayer * ROWS, (sublayer + 1) * ROWS)]).toEqual([...keepRanked(scores, RATE)])
      }

      const gradients = await parameters.read(parameters.gradients!)
      for (const [name, tensor] of gates) {
        const gradient = gradients.get(name)!
        const length = Math.hypot(...gradient)
        expect(length, name).toBeGreaterThan(1e-3)
        // Along the gradient, and along something else.
        for (const direction of [gradient.map((g) => g / length), noise(prng, gradient.length)]) {
          const lossAt = (distance: number) => {
            const data = Float64Array.from(tensor.data, (value, i) => value + distance * direction[i]!)
            const moved = new Map([...gates, [name, { ...tensor, data: data as unknown as Float32Array }]])
            return referenceLoss(tiny, moved, kept, read).loss
          }
          const slope = (lossAt(EPSILON) - lossAt(-EPSILON)) / (2 * EPSILON)
          const along = gradient.reduce((sum, g, i) => sum + g * direction[i]!, 0)
          expect(along / length, name).toBeCloseTo(slope / length, 4)
        }
      }

      // Gradients of batches add up, each with its share of the penalty.
      await step.run({ ...input, accumulation: 2 })
      const more = await parameters.read(parameters.gradients!)
      for (const [name, gradient] of gradients) {
        const largest = Math.max(...gradient.map(Math.abs))
        more.get(name)!.forEach((value, i) => {
          expect(value / largest).toBeCloseTo((1.5 * gradient[i]!) / largest, 4)
        })
      }
      for (const part of [step, parameters]) part.destroy()
    })
  })

  it('leaves a model as it is where gates are wide open and everything is kept', async () => {
    const tiny = tinyModel({ layers: LAYERS })
    await withWeights(bench.gpu, tiny.source, tiny.hub, 'stored', async (target, weights) => {
      const open = [...randomGates(target.shape.config.hiddenSize).values()].map((tensor) => ({
        ...tensor,
        data: tensor.data.map(() => (tensor.name.endsWith('bias') ? 100 : 0)),
      }))
      const parameters = new Parameters(bench.gpu, open, true)
      const options = { batch: BATCH, length: LENGTH, gating: residualGating(parameters) }
      const step = await GradientStep.create(target, weights, options)
      const { crossEntropy, executeRate, loss } = await step.measure({ ids, coefficient: COEFFICIENT })
      const hub = tiny.hub as unknown as HubConfig
      const config = referenceConfig(hub)
      const model = new ReferenceModel(config, tiny.tensors, ropeRow(plainFrequencies(hub.rope_theta, config.headDim)))
      const dense = [0, 1].flatMap((sequence) => {
        const own = ids.slice(sequence * LENGTH, (sequence + 1) * LENGTH)
        return [...nll(model.forward(own).logits, own.slice(1), LENGTH - 1, config.vocabSize)]
      })
      expect(executeRate).toBe(1)
      expect(crossEntropy).toBeCloseTo(dense.reduce((a, b) => a + b, 0) / dense.length, 5)
      expect(loss - crossEntropy).toBeCloseTo(COEFFICIENT, 5)
      for (const part of [step, parameters]) part.destroy()
    })
  })
})
