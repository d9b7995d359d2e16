import { pcgHash } from '../kernels/reference/random.js'
import type { RuntimeShape } from '../runtime/shape.js'
import type { LinearRouter, RouterWeights, TwoLayerRouter } from '../skip/router-weights.js'
import type { LoraTarget } from './lora.js'
import type { ParameterTensor } from './parameters.js'
import type { TrainingSettings } from './settings.js'

/** The margin at which every token runs everything to begin with: drawn by lot, 19 of 20. */
const FAVOUR = 3

/**
 * Routers of one linear layer. As SkipGPT begins (`published`): Kaiming-uniform with linear gain, U(−√(3/d), √(3/d)), and no bias, so that the first
 * steps skip half of everything, by chance. `scaled`: the model as it is, with a margin for running what it runs; weights are zero, whatever the size of
 * what they multiply.
 */
export function initialRouters(
  { config }: RuntimeShape,
  seed: number,
  recipe: TrainingSettings['recipe'],
): ParameterTensor[] {
  const { layers, hiddenSize: d } = config
  const scaled = recipe === 'scaled'
  return routerPrefixes(layers).flatMap((prefix, sublayer) => [
    {
      name: `${prefix}.weight_predictor.weight`,
      shape: [2, d],
      data: scaled ? new Float32Array(2 * d) : uniform(seed, sublayer, 2 * d, Math.sqrt(3 / d)),
    },
    {
      name: `${prefix}.weight_predictor.bias`,
      shape: [2],
      data: scaled ? Float32Array.of(FAVOUR / 2, -FAVOUR / 2) : new Float32Array(2),
    },
  ])
}

/**
 * Routers as training has them, with both logits, from those that inference keeps: half of the difference for one, its negative for the other.
 * Their difference, and so what they decide, is the same to the bit.
 */
export function unfoldRouters(weights: RouterWeights): ParameterTensor[] {
  const predictor = (prefix: string, { weight, bias }: LinearRouter): ParameterTensor[] => [
    { name: `${prefix}.weight_predictor.weight`, shape: [2, weight.length], data: halves(weight) },
    { name: `${prefix}.weight_predictor.bias`, shape: [2], data: halves([bias]) },
  ]
  const hidden = (prefix: string, { hiddenWeight, hiddenBias }: TwoLayerRouter): ParameterTensor[] => {
    const width = hiddenBias.length
    return [
      { name: `${prefix}.hidden_layer.weight`, shape: [width, hiddenWeight.length / width], data: hiddenWeight },
      { name: `${prefix}.hidden_layer.bias`, shape: [width], data: hiddenBias },
    ]
  }
  const of = (sublayer: number): LinearRouter | TwoLayerRouter =>
    (sublayer % 2 === 0 ? weights.attention : weights.mlp)[sublayer >> 1] as LinearRouter | TwoLayerRouter
  return routerPrefixes(weights.attention.length).flatMap((prefix, sublayer) => {
    const router = of(sublayer)
    return [...('hiddenWeight' in router ? hidden(prefix, router) : []), ...predictor(prefix, router)]
  })
}

/** A LoRA that changes nothing yet: A is Kaiming-uniform with a = √5, U(−1/√k, 1/√k), and B zero, as PEFT begins. */
export function initialLora(
  shape: RuntimeShape,
  { rank, targets }: { readonly rank: number; readonly targets: readonly LoraTarget[] },
  seed: number,
): ParameterTensor[] {
  const sizes = loraSizes(shape)
  return Array.from({ length: shape.config.layers }).flatMap((_, layer) =>
    targets.flatMap((target, i) => {
      const { n, k } = sizes[target]
      const name = `model.layers.${layer}.${target}`
      const a = uniform(seed, layer * targets.length + i, rank * k, 1 / Math.sqrt(k))
      return [
        { name: `${name}.lora_A.weight`, shape: [rank, k], data: a },
        { name: `${name}.lora_B.weight`, shape: [n, rank], data: new Float32Array(n * rank) },
      ]
    }),
  )
}

/** Outputs and inputs of the layers that can be adapted. */
export function loraSizes({
  config,
  queryWidth,
  kvWidth,
}: RuntimeShape): Record<LoraTarget, { readonly n: number; readonly k: number }> {
  const { hiddenSize: d, intermediateSize: ff } = config
  return {
    'self_attn.q_proj': { n: queryWidth, k: d },
    'self_attn.k_proj': { n: kvWidth / 2, k: d },
    'self_attn.v_proj': { n: kvWidth / 2, k: d },
    'self_attn.o_proj': { n: d, k: queryWidth },
    'mlp.gate_proj': { n: ff, k: d },
    'mlp.up_proj': { n: ff, k: d },
    'mlp.down_proj': { n: d, k: ff },
  }
}

function routerPrefixes(layers: number): string[] {
  return Array.from({ length: 2 * layers }, (_, sublayer) => {
    return `model.layers.${sublayer >> 1}.router_${sublayer % 2 === 0 ? 'attention' : 'mlp'}`
  })
}

function halves(difference: ArrayLike<number>): Float32Array {
  const { length } = difference
  const half = (i: number) => (difference[i % length] as number) / (i < length ? 2 : -2)
  return Float32Array.from({ length: 2 * length }, (_, i) => half(i))
}

function uniform(seed: number, tensor: number, count: number, bound: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => bound * (2 * (pcgHash(seed, tensor, i) / 2 ** 32) - 1))
}
