import { gateScores } from '../../src/kernels/reference/gates.js'
import { linear } from '../../src/kernels/reference/linear.js'
import { rmsNorm } from '../../src/kernels/reference/rms-norm.js'
import { swiglu } from '../../src/kernels/reference/swiglu.js'
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

/** D-LLM's layers: one gate, of the stream at their entry, for both sublayers; the first two tokens run them all. */
export function dllmGates(tensors: ReferenceTensors, eps: number, threshold = 0.5) {
  return (sublayer: number): ReferenceGate | undefined => {
    const values = (name: string) => tensors.get(`model.layers.${sublayer >> 1}.router.${name}`)?.data
    const [inner, norm, outer] = [values('linear_1.weight'), values('norm.weight'), values('linear_2.weight')]
    if (!inner || !norm || !outer) return undefined
    const gate = (x: Float64Array) => {
      const units = linear(x, inner, 1, x.length, norm.length, values('linear_1.bias'))
      const silu = rmsNorm(units, norm, eps, 1, norm.length).map((v) => v / (1 + Math.exp(-v)))
      const [skip, run] = linear(silu, outer, 1, norm.length, 2, values('linear_2.bias'))
      return Float64Array.of(Math.exp(run!) / (Math.exp(skip!) + Math.exp(run!)))
    }
    return { reads: 'entry', gate, runs: (score, position) => position < 2 || score >= threshold }
  }
}

/** FlexiDepth's layers: one gate, of what attention reads, for both sublayers, and an adapter for tokens that skip them. `model` has the norms. */
export function flexiDepthGates(tensors: ReferenceTensors, model: ReferenceTensors, eps: number, threshold = 0.5) {
  return (sublayer: number): ReferenceGate | undefined => {
    const prefix = `model.layers.${sublayer >> 1}`
    if (!tensors.has(`${prefix}.router.router_enc.weight`)) return undefined
    const norm = (x: Float64Array, name: string) =>
      rmsNorm(x, model.get(`${prefix}.${name}.weight`)!.data, eps, 1, x.length)
    const project = (x: Float64Array, name: string) => {
      const { shape, data } = tensors.get(`${prefix}.${name}.weight`)!
      return linear(x, data, 1, x.length, shape[0]!, tensors.get(`${prefix}.${name}.bias`)?.data)
    }
    const gate = (entry: Float64Array) => {
      const units = project(norm(entry, 'input_layernorm'), 'router.router_enc')
      const normed = rmsNorm(units, tensors.get(`${prefix}.router.router_norm.weight`)!.data, eps, 1, units.length)
      const [logit] = project(project(normed.map(Math.tanh), 'router.router_dec'), 'router.router_head')
      return Float64Array.of(1 / (1 + Math.exp(-logit!)))
    }
    const adapter = (x: Float64Array) => {
      const v = norm(x, 'post_attention_layernorm')
      const inner = swiglu(project(v, 'router_proj.gate_proj'), project(v, 'router_proj.down_proj'))
      return project(inner, 'router_proj.up_proj')
    }
    return {
      reads: 'entry',
      gate,
      runs: (score) => score > threshold,
      ...(sublayer % 2 === 1 && {
        output: (g: number) => g,
        instead: (x: Float64Array, g: number) => adapter(x).map((value) => (1 - g) * value),
      }),
    }
  }
}
