import { gateScores } from '../../src/kernels/reference/gates.js'
import type { ReferenceGate, ReferenceTensors } from './model.js'

const keyOf = (sublayer: number) => `model.layers.${sublayer >> 1}.gate_${sublayer % 2 === 0 ? 'attention' : 'mlp'}`

export function gateSkipThreshold(tensors: ReferenceTensors, sublayer: number): number {
  return tensors.get(`${keyOf(sublayer)}.threshold`)!.data[0]!
}

/** GateSkip's gates: the branch times sigmoid(W u + b), where its mean is above the threshold. */
export function gateSkipGates(tensors: ReferenceTensors, threshold: (sublayer: number) => number) {
  return (sublayer: number): ReferenceGate | undefined => {
    const [weight, bias] = ['weight', 'bias'].map((part) => tensors.get(`${keyOf(sublayer)}.${part}`))
    return (
      weight &&
      bias && {
        reads: 'normed',
        gate: (t) => gateScores(t, { weight: weight.data, bias: bias.data }, 1, t.length).gates,
        runs: (score) => score > threshold(sublayer),
        output: (g) => g,
      }
    )
  }
}

/** DLO's routers: the MLP times a line in sigmoid(w · entry), where that is above the threshold. */
export function dloGates(tensors: ReferenceTensors, { threshold = 0.5, factor = 2, gap = 0.05 } = {}) {
  return (sublayer: number): ReferenceGate | undefined => {
    const router = sublayer % 2 === 1 ? tensors.get(`model.routers.${sublayer >> 1}.weight`) : undefined
    return (
      router && {
        reads: 'entry',
        gate: (t) => gateScores(t, { weight: router.data, bias: [0] }, 1, t.length).gates,
        runs: (score) => score > threshold,
        output: (s) => 0.5 * factor + (s - 0.5) * gap,
      }
    )
  }
}

/** MindSkip's routers on attention. */
export function mindSkipGates(tensors: ReferenceTensors, pools: boolean, threshold = 0.5) {
  return (sublayer: number): ReferenceGate | undefined => {
    const name = `model.layers.${sublayer >> 1}.router`
    const weight = sublayer % 2 === 0 ? tensors.get(`${name}.weight`) : undefined
    const bias = tensors.get(`${name}.bias`)?.data ?? [0]
    return (
      weight && {
        reads: 'normed',
        gate: (t) => gateScores(t, { weight: weight.data, bias }, 1, t.length).gates,
        runs: (score) => score >= threshold,
        pools,
      }
    )
  }
}
