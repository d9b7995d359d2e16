import type { Dispatch } from '../gpu/dispatch.js'
import { type GatedSublayer, type Gating, type Kind, sublayerOf } from './gating.js'
import { channelGatesKernel } from './kernels/channel-gates.js'
import { channelGatesApplyKernel } from './kernels/channel-gates-apply.js'
import { channelGatesBackwardKernel } from './kernels/channel-gates-backward.js'
import { keepRankedKernel } from './kernels/keep-ranked.js'
import { productKernel, rowMajor, transposed } from './kernels/product-strided.js'
import { stepLossesKernel } from './kernels/step-losses.js'
import type { Parameters } from './parameters.js'

/**
 * GateSkip's residual gates (arXiv 2510.13876): with u what a sublayer reads, behind its norm,
 *
 *     g = sigmoid(W u + b)      y = x + kept · g ⊙ sublayer(u)
 *
 * where the rows with the lowest mean(g) of a batch are not kept, and the loss grows by coefficient · mean(g²). No gradient goes through u nor through
 * what is kept. Parameters: `model.layers.{i}.gate_{attention,mlp}.{weight [d, d], bias [d]}`.
 */
export function residualGating(parameters: Parameters): Gating {
  return async ({ gpu, shape }, rows) => {
    const { d4, sublayers, config } = shape
    const { hiddenSize: d } = config
    const capacity = rows
    const [store, add, makeGates, keep, apply, back, losses] = await Promise.all([
      productKernel(gpu, 'store'),
      productKernel(gpu, 'add'),
      channelGatesKernel(gpu, { d, d4, capacity }),
      keepRankedKernel(gpu, { capacity }),
      channelGatesApplyKernel(gpu, { d4, capacity }),
      channelGatesBackwardKernel(gpu, { d, d4, sublayers, capacity }),
      stepLossesKernel(gpu, { sublayers, capacity, penalty: { squaresOf: d } }),
    ])
    return {
      bind(arena, a) {
        const { plan, dx, gates: kept, settings } = a
        const hidden = (buffer: GPUBuffer) => rowMajor(buffer, 4 * d4)
        const buffers = {
          // A layer's attention needs its gates after those of its MLP were made.
          attention: gpu.memory.storage('attention gates', 16 * rows * d4),
          mlp: gpu.memory.storage('mlp gates', 16 * rows * d4),
          scores: gpu.memory.storage('gate scores', 4 * rows),
          squares: gpu.memory.storage('gate squares', 4 * sublayers * rows),
          one: gpu.memory.upload('one', Float32Array.of(1)),
        }
        const { scores, squares } = buffers
        const at = (layer: number, kind: Kind) => {
          const name = `model.layers.${layer}.gate_${kind}`
          return { weight: parameters.at(`${name}.weight`, [d, d]), bias: parameters.at(`${name}.bias`, [d]) }
        }

        const make = ({ layer, kind, u }: GatedSublayer): Dispatch[] => {
          const { weight, bias } = at(layer, kind)
          const gates = buffers[kind]
          return [
            store(arena, plan, {
              ...{ a: hidden(u), b: transposed(rowMajor(parameters.values, d, weight)), c: hidden(gates) },
              ...{ m: rows, n: d, k: d },
            }),
            makeGates(
              arena,
              { plan, parameters: parameters.values, gates, scores, squares },
              { sublayer: sublayerOf({ layer, kind }), bias },
            ),
          ]
        }

        /** dW += dvᵀ u, db += dvᵀ 1. */
        const weightGradients = ({ layer, kind, u }: GatedSublayer): Dispatch[] => {
          const { gradients } = parameters
          if (!gradients) return []
          const { weight, bias } = at(layer, kind)
          const dv = transposed(hidden(buffers[kind]))
          return [
            add(arena, plan, { a: dv, b: hidden(u), c: rowMajor(gradients, d, weight), m: d, n: d, k: rows }),
            add(arena, plan, {
              ...{ a: dv, b: { buffer: buffers.one, row: 0, column: 0 }, c: rowMajor(gradients, 1, bias) },
              ...{ m: d, n: 1, k: rows },
            }),
          ]
        }

        const sublayer = (its: GatedSublayer) => {
          const { kind, x, branch, y } = its
          const params = { sublayer: sublayerOf(its) }
          const gates = buffers[kind]
          const remake = make(its)
          return {
            decide: [...remake, keep(arena, { plan, settings, scores, kept }, params)],
            remake,
            apply: apply(arena, { plan, x, kept, gates, branch, y }, params),
            needsBranch: true,
            backward: [back(arena, { plan, settings, dy: dx, kept, gates, branch }, params), ...weightGradients(its)],
            dBranch: branch,
            projected: [],
            entryBackward: [],
          }
        }
        const destroy = () => {
          for (const buffer of Object.values(buffers)) gpu.memory.destroy(buffer)
        }
        return { sublayer, losses: losses(arena, { ...a, squares }), prepare: () => [], destroy }
      },
    }
  }
}
