import type { GpuDevice } from '../gpu/device.js'
import type { Dispatch, ParamsArena } from '../gpu/dispatch.js'
import type { Activations } from './activations.js'
import { gateSampleKernel } from './kernels/gate-sample.js'
import { gateSampleBackwardKernel } from './kernels/gate-sample-backward.js'
import { productKernel, rowMajor, type StridedMatrix, transposed } from './kernels/product-strided.js'
import type { Parameters } from './parameters.js'

/** Sublayers of a layer in the order of their numbers, 2 · layer and 2 · layer + 1. */
export type Kind = 'attention' | 'mlp'

/** Routers in training have both of their logits, as checkpoints have them. */
export interface TrainedRouters {
  /** By official names: `model.layers.{i}.router_{attention,mlp}.weight_predictor.{weight,bias}`, and `hidden_layer` for two-layer routers. */
  readonly parameters: Parameters
  /** Hidden units of two-layer routers. */
  readonly width?: number
  /** What the MLP's router reads: the layer's input (default), or the residual stream after attention. */
  readonly input?: 'entry' | 'post-attention'
}

export interface RouterSizes {
  readonly d: number
  readonly d4: number
  readonly rows: number
}

/**
 * Forward and backward of routers in training. Backward takes the gradients in the gates of a sublayer from `dGates`, adds what they come to in
 * the routers' weights, and in `dx`, the gradient of what the router read.
 */
export async function routerProgram(gpu: GpuDevice, routers: TrainedRouters, sizes: RouterSizes) {
  const { parameters, width } = routers
  const { d, d4, rows } = sizes
  const [store, add, relu, reluBackward, sample, sampleBackward] = await Promise.all([
    productKernel(gpu, 'store'),
    productKernel(gpu, 'add'),
    productKernel(gpu, 'relu'),
    productKernel(gpu, 'relu-backward'),
    gateSampleKernel(gpu, { capacity: rows }),
    gateSampleBackwardKernel(gpu, { capacity: rows }),
  ])
  const buffers = {
    logits: gpu.memory.storage('router logits', 8 * rows),
    dGates: {
      attention: gpu.memory.storage('gate gradients', 4 * rows),
      mlp: gpu.memory.storage('gate gradients', 4 * rows),
    },
    hidden: gpu.memory.storage('router hidden', 4 * rows * (width ?? 1)),
    one: gpu.memory.upload('one', Float32Array.of(1)),
  }
  const logits = rowMajor(buffers.logits, 2)
  const inner = width ?? d
  const nameOf = (layer: number, kind: Kind) => (part: string) => `model.layers.${layer}.router_${kind}.${part}`

  const program = (arena: ParamsArena, a: Activations) => {
    const { plan } = a
    const states = (x: GPUBuffer) => rowMajor(x, 4 * d4)
    const hiddenLayer = (name: (part: string) => string, x: GPUBuffer, units: number): Dispatch =>
      relu(arena, plan, {
        a: states(x),
        b: transposed(rowMajor(parameters.values, d, parameters.at(name('hidden_layer.weight'), [units, d]))),
        c: rowMajor(buffers.hidden, units),
        bias: { buffer: parameters.values, at: parameters.at(name('hidden_layer.bias'), [units]) },
        ...{ m: rows, n: units, k: d },
      })
    /** What the layer that makes the logits reads. */
    const read = (x: GPUBuffer) => (width ? rowMajor(buffers.hidden, width) : states(x))

    /** From x to gates and their soft forms. */
    const forward = (layer: number, kind: Kind, x: GPUBuffer): Dispatch[] => {
      const name = nameOf(layer, kind)
      const weight = rowMajor(parameters.values, inner, parameters.at(name('weight_predictor.weight'), [2, inner]))
      const at = {
        sublayer: 2 * layer + (kind === 'mlp' ? 1 : 0),
        bias: parameters.at(name('weight_predictor.bias'), [2]),
      }
      return [
        ...(width ? [hiddenLayer(name, x, width)] : []),
        store(arena, plan, { a: read(x), b: transposed(weight), c: logits, m: rows, n: 2, k: inner }),
        sample(arena, { ...a, logits: buffers.logits, parameters: parameters.values }, at),
      ]
    }

    const backward = (layer: number, kind: Kind, x: GPUBuffer, dx: GPUBuffer): Dispatch[] => {
      const { gradients } = parameters
      if (!gradients) return []
      const name = nameOf(layer, kind)
      const at = (part: string, ...shape: number[]) => parameters.at(name(part), shape)
      /** Gradients of a linear layer's weights and bias: dWeight += dyᵀ x, dBias += dyᵀ 1. */
      const weights = (part: string, dy: StridedMatrix, n: number, of: StridedMatrix, k: number): Dispatch[] => [
        add(arena, plan, {
          ...{ a: transposed(dy), b: of, c: rowMajor(gradients, k, at(`${part}.weight`, n, k)) },
          ...{ m: n, n: k, k: rows },
        }),
        add(arena, plan, {
          ...{ a: transposed(dy), b: { buffer: buffers.one, row: 0, column: 0 } },
          ...{ c: rowMajor(gradients, 1, at(`${part}.bias`, n)), m: n, n: 1, k: rows },
        }),
      ]
      const predictor = rowMajor(parameters.values, inner, at('weight_predictor.weight', 2, inner))
      const begin = [
        ...(width ? [hiddenLayer(name, x, width)] : []),
        sampleBackward(
          arena,
          { ...a, dGates: buffers.dGates[kind], dLogits: buffers.logits },
          { sublayer: 2 * layer + (kind === 'mlp' ? 1 : 0) },
        ),
        ...weights('weight_predictor', logits, 2, read(x), inner),
      ]
      if (!width) return [...begin, add(arena, plan, { a: logits, b: predictor, c: states(dx), m: rows, n: d, k: 2 })]
      const hidden = rowMajor(buffers.hidden, width)
      const first = rowMajor(parameters.values, d, at('hidden_layer.weight', width, d))
      return [
        ...begin,
        reluBackward(arena, plan, { a: logits, b: predictor, c: hidden, m: rows, n: width, k: 2 }),
        ...weights('hidden_layer', hidden, width, states(x), d),
        add(arena, plan, { a: hidden, b: first, c: states(dx), m: rows, n: d, k: width }),
      ]
    }
    return { forward, backward }
  }
  const destroy = () => {
    const { dGates, ...others } = buffers
    for (const buffer of [...Object.values(others), ...Object.values(dGates)]) gpu.memory.destroy(buffer)
  }
  return { program, dGates: buffers.dGates, trains: parameters.gradients !== undefined, destroy }
}

export type RouterProgram = Awaited<ReturnType<typeof routerProgram>>
