import { SkipstoneError } from '../errors.js'
import { normaliseTensorName } from '../formats/tensor-names.js'

/** A router tensor as read from a file: row-major f32. */
export interface RouterTensor {
  readonly shape: readonly number[]
  readonly data: Float32Array
}

/** `z = weight · x + bias`; the token runs the sublayer where z reaches the threshold. */
export interface LinearRouter {
  /** `[d]`, execute row minus skip row. */
  readonly weight: Float32Array
  readonly bias: number
}

/** `z = weight · ReLU(hiddenWeight x + hiddenBias) + bias`. */
export interface TwoLayerRouter {
  /** Row-major `[width, d]`. */
  readonly hiddenWeight: Float32Array
  /** `[width]` */
  readonly hiddenBias: Float32Array
  /** `[width]`, execute row minus skip row. */
  readonly weight: Float32Array
  readonly bias: number
}

/** The SkipGPT routers of a model, one per layer and kind of sublayer. */
export type RouterWeights =
  | { readonly kind: 'linear'; readonly attention: readonly LinearRouter[]; readonly mlp: readonly LinearRouter[] }
  | {
      readonly kind: 'two-layer'
      /** Hidden units, the same in every router. */
      readonly width: number
      readonly attention: readonly TwoLayerRouter[]
      readonly mlp: readonly TwoLayerRouter[]
    }

/** Parameters of one router by their names in its module, as in `hidden_layer.weight`. */
type Parts = ReadonlyMap<string, RouterTensor>

interface RouterShape {
  readonly hiddenSize: number
  readonly layers: number
}

const ROUTER_NAME =
  /^model\.layers\.(\d+)\.(router_attention|router_mlp)\.((?:hidden_layer|weight_predictor)\.(?:weight|bias))$/

/**
 * The routers among `tensors` (other tensors are passed over: training checkpoints hold the whole model), for a model of
 * `layers` layers of width `hiddenSize`. Official key names, with or without PEFT's prefix. Each has two logits, 0 execute
 * and 1 skip; only their difference decides, so only that is kept.
 *
 * `missing-weights` where there is no router at all; `wrong-model` where there are too few or too many layers, or another
 * width; `bad-file` for a missing or repeated key, a malformed shape, a value that is not finite, or both kinds mixed. All
 * name the key.
 */
export function readRouters(
  tensors: Iterable<readonly [string, RouterTensor]>,
  hiddenSize: number,
  layers: number,
): RouterWeights {
  const shape = { hiddenSize, layers }
  const routers = collect(tensors, shape)
  const width = hiddenWidth(routers)
  const module = <T>(kind: string, read: (prefix: string, parts: Parts) => T): T[] =>
    Array.from({ length: layers }, (_, layer) => {
      const prefix = `model.layers.${layer}.${kind}`
      const parts = routers.get(prefix)
      if (!parts) {
        throw new SkipstoneError(
          'wrong-model',
          `There is no "${prefix}" for a model of ${layers} layers; use this model's routers.`,
        )
      }
      return read(prefix, parts)
    })

  if (width === undefined) {
    const read = (prefix: string, parts: Parts): LinearRouter => linearRouter(prefix, parts, hiddenSize)
    return { kind: 'linear', attention: module('router_attention', read), mlp: module('router_mlp', read) }
  }
  const read = (prefix: string, parts: Parts): TwoLayerRouter => twoLayerRouter(prefix, parts, width, hiddenSize)
  return { kind: 'two-layer', width, attention: module('router_attention', read), mlp: module('router_mlp', read) }
}

/** Router tensors by module, as in `model.layers.0.router_mlp`. */
function collect(tensors: Iterable<readonly [string, RouterTensor]>, { layers }: RouterShape): Map<string, Parts> {
  const routers = new Map<string, Map<string, RouterTensor>>()
  for (const [name, tensor] of tensors) {
    const normalised = normaliseTensorName(name)
    if (!/(^|\.)router/.test(normalised)) continue
    const [, layer, kind, part] = ROUTER_NAME.exec(normalised) ?? []
    if (!part) throw bad(name, 'is not one of the names that SkipGPT gives its routers')
    if (Number(layer) >= layers) {
      throw new SkipstoneError(
        'wrong-model',
        `"${name}" is for a layer that this model of ${layers} does not have; use its own routers.`,
      )
    }
    const prefix = `model.layers.${layer}.${kind}`
    const parts = routers.get(prefix) ?? new Map<string, RouterTensor>()
    if (parts.has(part)) throw bad(name, 'occurs twice')
    routers.set(prefix, parts.set(part, tensor))
  }
  if (routers.size === 0) {
    throw new SkipstoneError(
      'missing-weights',
      'The file holds no "router_attention" or "router_mlp"; give a file with SkipGPT routers.',
    )
  }
  return routers
}

/** The hidden units of two-layer routers, undefined for linear ones: any `hidden_layer` key makes the whole file two-layer. */
function hiddenWidth(routers: ReadonlyMap<string, Parts>): number | undefined {
  for (const [prefix, parts] of routers) {
    if (!parts.has('hidden_layer.weight') && !parts.has('hidden_layer.bias')) continue
    const [width] = part(prefix, parts, 'hidden_layer.bias').shape
    if (!width) throw bad(`${prefix}.hidden_layer.bias`, 'is empty')
    return width
  }
  return undefined
}

function linearRouter(prefix: string, parts: Parts, hiddenSize: number): LinearRouter {
  return {
    weight: fold(prefix, 'weight', checked(prefix, parts, 'weight_predictor.weight', [2, hiddenSize])),
    bias: fold(prefix, 'bias', checked(prefix, parts, 'weight_predictor.bias', [2]))[0]!,
  }
}

function twoLayerRouter(prefix: string, parts: Parts, width: number, hiddenSize: number): TwoLayerRouter {
  return {
    hiddenWeight: checked(prefix, parts, 'hidden_layer.weight', [width, hiddenSize]),
    hiddenBias: checked(prefix, parts, 'hidden_layer.bias', [width]),
    weight: fold(prefix, 'weight', checked(prefix, parts, 'weight_predictor.weight', [2, width])),
    bias: fold(prefix, 'bias', checked(prefix, parts, 'weight_predictor.bias', [2]))[0]!,
  }
}

/** Execute half minus skip half, subtracted in f64 and rounded once. */
function fold(prefix: string, name: string, pair: Float32Array): Float32Array {
  const half = pair.length / 2
  const difference = Float32Array.from({ length: half }, (_, i) => pair[i]! - pair[half + i]!)
  if (!difference.every(Number.isFinite)) throw bad(`${prefix}.weight_predictor.${name}`, 'is too large for f32')
  return difference
}

function part(prefix: string, parts: Parts, name: string): RouterTensor {
  const tensor = parts.get(name)
  if (!tensor) throw bad(`${prefix}.${name}`, 'is missing, though its neighbours are there')
  return tensor
}

/** The data of one parameter, of exactly `shape` and finite. */
function checked(prefix: string, parts: Parts, name: string, shape: readonly number[]): Float32Array {
  const key = `${prefix}.${name}`
  const tensor = part(prefix, parts, name)
  const text = `[${tensor.shape.join(', ')}] where [${shape.join(', ')}] is needed`
  if (tensor.shape.length !== shape.length || tensor.shape[0] !== shape[0]) throw bad(key, `has the shape ${text}`)
  if (tensor.shape[1] !== shape[1]) {
    throw new SkipstoneError('wrong-model', `"${key}" has the shape ${text}; use the routers of this model.`)
  }
  const count = shape.reduce((product, size) => product * size, 1)
  if (tensor.data.length !== count) throw bad(key, `has ${tensor.data.length} values where ${count} are needed`)
  const broken = tensor.data.findIndex((value) => !Number.isFinite(value))
  if (broken >= 0) throw bad(key, `has the value ${tensor.data[broken]} at index ${broken}`)
  return tensor.data
}

function bad(key: string, problem: string): SkipstoneError {
  return new SkipstoneError('bad-file', `The router tensor "${key}" ${problem}; fetch or export the routers again.`)
}
