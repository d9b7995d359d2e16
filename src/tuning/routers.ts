import { SkipstoneError } from '../errors.js'
import type { Dispatch } from '../gpu/dispatch.js'
import { type GatedSublayer, type Gating, type Kind, sublayerOf } from './gating.js'
import { gateApplyKernel } from './kernels/gate-apply.js'
import { gateApplyBackwardKernel } from './kernels/gate-apply-backward.js'
import { gateSampleKernel } from './kernels/gate-sample.js'
import { gateSampleBackwardKernel } from './kernels/gate-sample-backward.js'
import { gumbelNoiseKernel } from './kernels/gumbel-noise.js'
import { productKernel, rowMajor, type StridedMatrix, transposed } from './kernels/product-strided.js'
import { stepLossesKernel } from './kernels/step-losses.js'
import type { Parameters } from './parameters.js'
import type { StepInput } from './step-input.js'

/** Routers in training have both of their logits, as checkpoints have them. */
export interface TrainedRouters {
  /** By official names: `model.layers.{i}.router_{attention,mlp}.weight_predictor.{weight,bias}`, and `hidden_layer` for two-layer routers. */
  readonly parameters: Parameters
  /** Hidden units of two-layer routers. */
  readonly width?: number
  /** What the MLP's router reads: the layer's input (default), or the residual stream after attention. */
  readonly input?: 'entry' | 'post-attention'
}

/**
 * SkipGPT's routers as gates: a row runs a sublayer or does not, by lot or by arg-max, and a soft form of the decision has the gradient. It comes to
 * the routers' weights, and to the residual stream that they read.
 */
export function routerGating({ parameters, width, input = 'entry' }: TrainedRouters): Gating {
  return async ({ gpu, shape }, rows) => {
    const { d4, sublayers, config } = shape
    const { hiddenSize: d } = config
    const noiseSize = 2 * sublayers * rows
    const scaled = (width4: number) => gateApplyBackwardKernel(gpu, { d4: width4, capacity: rows, scales: 'own' })
    const [store, add, relu, reluBackward, gumbel, sample, sampleBackward, apply, applyBack, queries, inner, losses] =
      await Promise.all([
        productKernel(gpu, 'store'),
        productKernel(gpu, 'add'),
        productKernel(gpu, 'relu'),
        productKernel(gpu, 'relu-backward'),
        gumbelNoiseKernel(gpu, noiseSize),
        gateSampleKernel(gpu, { capacity: rows }),
        gateSampleBackwardKernel(gpu, { capacity: rows }),
        gateApplyKernel(gpu, { d4, capacity: rows }),
        gateApplyBackwardKernel(gpu, { d4, capacity: rows, scales: 'dy' }),
        scaled(shape.queryWidth / 4),
        scaled(shape.ff4),
        stepLossesKernel(gpu, { sublayers, capacity: rows, penalty: 'rate' }),
      ])
    const readWidth = width ?? d
    const states = (x: GPUBuffer) => rowMajor(x, 4 * d4)
    const nameOf = (layer: number, kind: Kind) => (part: string) => `model.layers.${layer}.router_${kind}.${part}`

    return {
      bind(arena, a) {
        const { plan, gates, dx } = a
        const buffers = {
          /** [2 layers, rows, 2] for the two logits of each router; zeros for arg-max. */
          noise: gpu.memory.storage('noise', 4 * noiseSize),
          /** u32 of (seed, counter), where the noise is made here. */
          seed: gpu.memory.storage('noise seed', 8),
          /** [2 layers, rows] */
          soft: gpu.memory.storage('soft gates', 4 * sublayers * rows),
          logits: gpu.memory.storage('router logits', 8 * rows),
          hidden: gpu.memory.storage('router hidden', 4 * rows * (width ?? 1)),
          one: gpu.memory.upload('one', Float32Array.of(1)),
          attention: gpu.memory.storage('gate gradients', 4 * rows),
          mlp: gpu.memory.storage('gate gradients', 4 * rows),
        }
        const { noise, soft, seed } = buffers
        const logits = rowMajor(buffers.logits, 2)
        const make = gumbel(arena, { seed, noise })

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
        const decide = (layer: number, kind: Kind, x: GPUBuffer): Dispatch[] => {
          const name = nameOf(layer, kind)
          const weight = rowMajor(
            parameters.values,
            readWidth,
            parameters.at(name('weight_predictor.weight'), [2, readWidth]),
          )
          const at = { sublayer: sublayerOf({ layer, kind }), bias: parameters.at(name('weight_predictor.bias'), [2]) }
          return [
            ...(width ? [hiddenLayer(name, x, width)] : []),
            store(arena, plan, { a: read(x), b: transposed(weight), c: logits, m: rows, n: 2, k: readWidth }),
            sample(arena, { ...a, noise, soft, logits: buffers.logits, parameters: parameters.values }, at),
          ]
        }

        /** From the gradients in gates to those in the routers' weights, and in x, which are added to `dx`. */
        const backward = (layer: number, kind: Kind, x: GPUBuffer): Dispatch[] => {
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
          const predictor = rowMajor(parameters.values, readWidth, at('weight_predictor.weight', 2, readWidth))
          const begin = [
            ...(width ? [hiddenLayer(name, x, width)] : []),
            sampleBackward(
              arena,
              { ...a, soft, dGates: buffers[kind], dLogits: buffers.logits },
              { sublayer: sublayerOf({ layer, kind }) },
            ),
            ...weights('weight_predictor', logits, 2, read(x), readWidth),
          ]
          if (!width)
            return [...begin, add(arena, plan, { a: logits, b: predictor, c: states(dx), m: rows, n: d, k: 2 })]
          const hidden = rowMajor(buffers.hidden, width)
          const first = rowMajor(parameters.values, d, at('hidden_layer.weight', width, d))
          return [
            ...begin,
            reluBackward(arena, plan, { a: logits, b: predictor, c: hidden, m: rows, n: width, k: 2 }),
            ...weights('hidden_layer', hidden, width, states(x), d),
            add(arena, plan, { a: hidden, b: first, c: states(dx), m: rows, n: d, k: width }),
          ]
        }

        const sublayer = ({ layer, kind, entry, x, branch, projection, y }: GatedSublayer) => {
          const at = { sublayer: sublayerOf({ layer, kind }) }
          const { reads, dReads, alone } = projection
          const trains = parameters.gradients !== undefined
          // With P the projection, ⟨dy, P r⟩ = ⟨Pᵀ dy, r⟩: the gradient of a row's gate needs no product made again.
          const behind = trains && alone
          const scale = kind === 'attention' ? queries : inner
          const readsEntry = kind === 'attention' || input === 'entry'
          const through = backward(layer, kind, readsEntry ? entry : x)
          return {
            decide: decide(layer, kind, readsEntry ? entry : x),
            remake: [],
            apply: apply(arena, { plan, x, gates, branch, y }, at),
            needsBranch: trains && !alone,
            backward: behind ? [] : [applyBack(arena, { plan, dy: dx, gates, branch, dGates: buffers[kind] }, at)],
            dBranch: behind ? dx : branch,
            projected: [
              ...(behind ? [scale(arena, { plan, dy: reads, gates, branch: dReads, dGates: buffers[kind] }, at)] : []),
              ...(readsEntry ? [] : through),
            ],
            entryBackward: readsEntry ? through : [],
          }
        }

        const prepare = ({ noise: given }: StepInput): Dispatch[] => {
          const { queue } = gpu.device
          if (given && 'seed' in given) {
            queue.writeBuffer(seed, 0, Uint32Array.of(given.seed, given.counter))
            return [make]
          }
          if (given && given.length !== noiseSize) {
            throw new SkipstoneError('bad-option', `A step takes ${noiseSize} values of noise, not ${given.length}.`)
          }
          queue.writeBuffer(noise, 0, given ?? new Float32Array(noiseSize))
          return []
        }

        const destroy = () => {
          for (const buffer of Object.values(buffers)) gpu.memory.destroy(buffer)
        }
        return { sublayer, losses: losses(arena, a), prepare, destroy }
      },
    }
  }
}
