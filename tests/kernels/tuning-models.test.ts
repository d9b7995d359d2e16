/** Training steps of models that the golden data does not have: their gradients against differences of their own losses. */
import { describe, expect, it } from 'vitest'
import { mergeLora } from '../../src/kernels/reference/lora.js'
import { nll } from '../../src/kernels/reference/nll.js'
import type { ModelWeights } from '../../src/model/weights.js'
import type { Target } from '../../src/runtime/target.js'
import { GradientStep } from '../../src/tuning/gradient-step.js'
import type { LoraTarget } from '../../src/tuning/lora.js'
import { Optimiser } from '../../src/tuning/optimiser.js'
import { Parameters, type ParameterTensor } from '../../src/tuning/parameters.js'
import { routerGating } from '../../src/tuning/routers.js'
import { Prng } from '../fixtures/prng.js'
import type { Tensor } from '../fixtures/random-checkpoint.js'
import { type TinyModel, type TinyOptions, tinyModel } from '../fixtures/tiny-model.js'
import { gpuSuite, noise } from '../gpu/testing.js'
import { type HubConfig, referenceConfig } from '../reference/hub-config.js'
import { ReferenceModel } from '../reference/model.js'
import { plainFrequencies, ropeRow } from '../reference/rope-rows.js'
import { withWeights } from '../tuning/support.js'

const BATCH = 2
const LENGTH = 13
const RANK = 3
const ALPHA = 6
const TARGETS: readonly LoraTarget[] = [
  'self_attn.q_proj',
  'self_attn.k_proj',
  'self_attn.v_proj',
  'self_attn.o_proj',
  'mlp.gate_proj',
  'mlp.up_proj',
  'mlp.down_proj',
]
const EPSILON = 0.01

const named = (tensors: ReadonlyMap<string, Tensor>): ParameterTensor[] =>
  [...tensors].map(([name, tensor]) => ({ name, ...tensor }))

function loraTensors({ shape: { config, queryWidth, kvWidth } }: Target, prng: Prng): ParameterTensor[] {
  const { hiddenSize: d, intermediateSize: ff } = config
  const sizes: Record<LoraTarget, [n: number, k: number]> = {
    'self_attn.q_proj': [queryWidth, d],
    'self_attn.k_proj': [kvWidth / 2, d],
    'self_attn.v_proj': [kvWidth / 2, d],
    'self_attn.o_proj': [d, queryWidth],
    'mlp.gate_proj': [ff, d],
    'mlp.up_proj': [ff, d],
    'mlp.down_proj': [d, ff],
  }
  return Array.from({ length: config.layers }).flatMap((_, layer) =>
    TARGETS.flatMap((target) => {
      const [n, k] = sizes[target]
      const tensor = (part: 'A' | 'B', shape: [number, number]) => {
        const data = noise(prng, shape[0] * shape[1], 0.3 / Math.sqrt(shape[1]))
        return { name: `model.layers.${layer}.${target}.lora_${part}.weight`, shape, data }
      }
      return [tensor('A', [RANK, k]), tensor('B', [n, RANK])]
    }),
  )
}

const prng = new Prng(4)
const ids = Uint32Array.from({ length: BATCH * LENGTH }, () => 3 + prng.below(90))

/** The mean loss of the sequences in f64, with the LoRA merged and these gates. */
function referenceLoss(tiny: TinyModel, lora: readonly ParameterTensor[], gates: ArrayLike<number>): number {
  const tensors = new Map<string, { shape: readonly number[]; data: ArrayLike<number> }>(tiny.tensors)
  for (const { name, shape, data } of lora) {
    if (!name.endsWith('.lora_A.weight')) continue
    const weightName = name.replace('.lora_A', '')
    const [rank, k] = shape as [number, number]
    const weight = tensors.get(weightName)!
    const b = lora.find((t) => t.name === name.replace('lora_A', 'lora_B'))!
    const merged = mergeLora(weight.data, data, b.data, ALPHA / RANK, weight.shape[0]!, k, rank)
    tensors.set(weightName, { shape: weight.shape, data: merged })
  }
  const hub = tiny.hub as unknown as HubConfig
  const config = referenceConfig(hub)
  const model = new ReferenceModel(config, tensors, ropeRow(plainFrequencies(hub.rope_theta, config.headDim)))
  let sum = 0
  for (let first = 0; first < ids.length; first += LENGTH) {
    const own = ids.slice(first, first + LENGTH)
    const execute = (sublayer: number, position: number) => gates[sublayer * ids.length + first + position] === 1
    const { logits } = model.forward(own, { execute })
    sum += nll(logits, own.slice(1), LENGTH - 1, config.vocabSize).reduce((a, b) => a + b, 0)
  }
  return sum / (BATCH * (LENGTH - 1))
}

gpuSuite('training steps', (bench) => {
  /** Makes what trains with all targets of a LoRA, over the routers of the model. */
  async function withLora(
    options: TinyOptions,
    dtype: 'stored' | 'q4',
    use: (step: GradientStep, lora: Parameters, tensors: readonly ParameterTensor[], tiny: TinyModel) => Promise<void>,
  ) {
    const tiny = tinyModel({ layers: 2, ...options })
    await withWeights(bench.gpu, tiny.source, tiny.hub, dtype, async (target: Target, weights: ModelWeights) => {
      const routers = new Parameters(bench.gpu, named(tiny.routers), false)
      const tensors = loraTensors(target, new Prng(9))
      const parameters = new Parameters(bench.gpu, tensors, true)
      const step = await GradientStep.create(target, weights, {
        ...{ batch: BATCH, length: LENGTH, slice: 40, gating: routerGating({ parameters: routers }) },
        lora: { parameters, rank: RANK, alpha: ALPHA, targets: TARGETS },
      })
      await use(step, parameters, tensors, tiny)
      for (const part of [step, routers, parameters]) part.destroy()
    })
  }

  describe.each([
    { name: 'llama in q4, widths that are no multiples of blocks', options: { intermediateSize: 50 }, dtype: 'q4' },
    { name: 'qwen2: biases, tied', options: { architecture: 'qwen2', tied: true }, dtype: 'stored' },
    { name: 'qwen3: norms of heads, wide heads', options: { architecture: 'qwen3', headDim: 12 }, dtype: 'stored' },
  ] as const)('$name', ({ options, dtype }) => {
    it('goes down each gradient as fast as it is long', () =>
      withLora(options, dtype, async (step, parameters, tensors, tiny) => {
        const { queue } = bench.gpu.device
        // So loud that no decision flips on the way.
        const loud = Float32Array.from({ length: 8 * ids.length }, (_, i) =>
          i % 2 === 0 ? 1e4 * (prng.below(2) - 0.5) : 0,
        )
        const { loss } = await step.run({ ids, noise: loud })
        const gates = await step.gates()
        expect(new Set(gates)).toEqual(new Set([0, 1]))
        if (dtype === 'stored') expect(loss).toBeCloseTo(referenceLoss(tiny, tensors, gates), 4)
        const gradients = await parameters.read(parameters.gradients!)
        for (const target of TARGETS) {
          const own = tensors.filter(({ name }) => name.includes(target))
          const length = Math.hypot(...own.map(({ name }) => Math.hypot(...gradients.get(name)!)))
          expect(length).toBeGreaterThan(0.01)
          const lossAt = async (distance: number) => {
            for (const { name, shape, data } of own) {
              const moved = data.map((v, i) => v + (distance * gradients.get(name)![i]!) / length)
              queue.writeBuffer(parameters.values, 4 * parameters.at(name, shape), moved as Float32Array<ArrayBuffer>)
            }
            return (await step.run({ ids, noise: loud })).loss
          }
          const slope = ((await lossAt(EPSILON)) - (await lossAt(-EPSILON))) / (2 * EPSILON)
          await lossAt(0)
          expect(slope / length, target).toBeCloseTo(1, 2)
        }
      }))
  })

  it('learns a text by heart', () =>
    withLora({}, 'stored', async (step, parameters) => {
      const optimiser = await Optimiser.create(bench.gpu, parameters)
      const losses: number[] = []
      for (let i = 0; i < 12; i++) {
        losses.push((await step.run({ ids })).loss)
        optimiser.step({ learningRate: 0.02 })
      }
      expect(optimiser.steps).toBe(12)
      expect(losses.at(-1)).toBeLessThan(losses[0]! - 1)
      optimiser.destroy()
    }))

  it('makes noise from a seed and a counter', () =>
    withLora({}, 'stored', async (step) => {
      const gatesOf = async (seed: number, counter: number) => {
        await step.run({ ids, noise: { seed, counter } })
        return step.gates()
      }
      const gates = await gatesOf(1, 7)
      expect(await gatesOf(1, 8)).not.toEqual(gates)
      expect(await gatesOf(2, 7)).not.toEqual(gates)
      expect(await gatesOf(1, 7)).toEqual(gates)
    }))

  it('keeps no more than inputs of sublayers and what attentions give, and gives everything back', async () => {
    const tiny = tinyModel({ layers: 4, vocabSize: 2000 })
    await withWeights(bench.gpu, tiny.source, tiny.hub, 'stored', async (target, weights) => {
      const parameters = new Parameters(bench.gpu, named(tiny.routers), true)
      const before = bench.gpu.memory.bytes
      const bytes = async (length: number, depth: number) => {
        const { config } = target.shape
        const shape = { ...target.shape, config: { ...config, layers: depth }, sublayers: 2 * depth }
        const step = await GradientStep.create({ ...target, shape }, weights, {
          ...{ batch: 1, length, gating: routerGating({ parameters }) },
        })
        const used = bench.gpu.memory.bytes - before
        step.destroy()
        expect(bench.gpu.memory.bytes).toBe(before)
        return used
      }
      const { d4, sublayers, queryWidth, config } = target.shape
      const [short, long] = [await bytes(64, 4), await bytes(128, 4)]
      // Nothing grows faster than the tokens.
      expect(long).toBeLessThanOrEqual(2 * short)
      // A layer more is the inputs of its sublayers, what its attention gives, its gates and their noise, and the parameters of its dispatches.
      const perLayer = (long - (await bytes(128, 2))) / 2
      const perToken = 2 * 4 * d4 + queryWidth + config.heads + 2 * sublayers
      expect(perLayer).toBeLessThan(128 * perToken * 4 + 5000)
      parameters.destroy()
    })
  })

  it('refuses batches that it cannot learn from', () =>
    withLora({}, 'stored', async (step) => {
      await expect(step.run({ ids: ids.slice(1) })).rejects.toMatchObject({ code: 'bad-option' })
      await expect(step.run({ ids, noise: new Float32Array(3) })).rejects.toMatchObject({ code: 'bad-option' })
      await expect(step.run({ ids, ends: new Set(ids) })).rejects.toMatchObject({ code: 'bad-option' })
    }))

  it.each([
    { name: 'routers of fewer layers', layers: 1, hiddenSize: 32, code: 'missing-weights' },
    { name: 'routers of another width', layers: 3, hiddenSize: 36, code: 'wrong-model' },
  ])('refuses $name, and keeps nothing', async ({ layers, hiddenSize, code }) => {
    const tiny = tinyModel()
    const other = tinyModel({ layers, hiddenSize })
    await withWeights(bench.gpu, tiny.source, tiny.hub, 'stored', async (target, weights) => {
      const parameters = new Parameters(bench.gpu, named(other.routers), true)
      const step = GradientStep.create(target, weights, { batch: 1, length: 4, gating: routerGating({ parameters }) })
      await expect(step).rejects.toMatchObject({ code })
      parameters.destroy()
    })
  })
})
