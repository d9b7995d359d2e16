import type { Dispatch, ParamsArena } from '../gpu/dispatch.js'
import type { LayerWeights, ModelWeights } from '../model/weights.js'
import type { RuntimeShape } from '../runtime/shape.js'
import type { Activations } from './activations.js'
import type { GatingProgram } from './gating.js'
import { rowMajor, type StridedMatrix } from './kernels/product-strided.js'
import type { LayerKernels } from './layer-kernels.js'
import type { LoraProgram, LoraTarget } from './lora.js'

export interface LayerInputs {
  readonly arena: ParamsArena
  readonly shape: RuntimeShape
  readonly weights: ModelWeights
  readonly kernels: LayerKernels
  readonly activations: Activations
  /** Rows of a sequence. */
  readonly length: number
  readonly gating: GatingProgram
  readonly lora: ReturnType<LoraProgram['program']> | undefined
}

/**
 * One decoder layer of a training step. Every row runs every sublayer, and gates multiply what they give, by row or by channel:
 * x1 = x + gA ⊙ O(attention(RMSNorm(x))), y = x1 + gM ⊙ MLP(RMSNorm(x1)).
 *
 * `forward` goes from the layer's input to its output; `backward` makes again what is not kept of it, with the gates of the forward pass, and
 * turns the gradient of the output, in `dx`, into that of the input.
 */
export function layerProgram(inputs: LayerInputs, layer: number): { forward: Dispatch[]; backward: Dispatch[] } {
  const { arena, shape, weights, kernels, activations, length, gating } = inputs
  const { queryWidth, kvWidth, d4, ff4, config } = shape
  const { hiddenSize: d, intermediateSize: ff, headDim, qkNorm } = config
  const { plan, rope, dx, layer: a } = activations
  const between = activations.middles[layer] as GPUBuffer
  const attended = activations.attended[layer] as GPUBuffer
  const logSumExp = activations.logSumExps[layer] as GPUBuffer
  const { vectors } = weights
  const w = weights.layers[layer] as LayerWeights
  const x = activations.inputs[layer] as GPUBuffer
  const y = activations.inputs[layer + 1] as GPUBuffer
  const keyNorm = w.qkNorm + Math.ceil(headDim / 4)
  const bound = { plan, vectors }
  const params = (firstRow: number, bias: number) => ({ slot: 0, firstRow, bias, z: 0 })

  const wide = (buffer: GPUBuffer) => rowMajor(buffer, 4 * ff4)
  const hidden = (buffer: GPUBuffer) => rowMajor(buffer, 4 * d4)
  const values = kvWidth / 2
  const [u, du] = [hidden(a.u), hidden(a.du)]
  const middle = hidden(a.middleNormed)
  /** What each adapted layer reads, the gradient of its output (gate, up and outputs of sublayers are replaced by theirs), and of what it reads. */
  const adapted = {
    'self_attn.q_proj': { x: u, dy: rowMajor(a.dq, queryWidth), dx: du, k: d, n: queryWidth },
    'self_attn.k_proj': { x: u, dy: rowMajor(a.dkv, kvWidth), dx: du, k: d, n: values },
    'self_attn.v_proj': { x: u, dy: rowMajor(a.dkv, kvWidth, values), dx: du, k: d, n: values },
    'self_attn.o_proj': {
      ...{ x: rowMajor(attended, queryWidth), dy: hidden(a.attention), dx: rowMajor(a.dAttended, queryWidth) },
      ...{ k: queryWidth, n: d },
    },
    'mlp.gate_proj': { x: middle, dy: wide(a.gate), dx: du, k: d, n: ff },
    'mlp.up_proj': { x: middle, dy: wide(a.up), dx: du, k: d, n: ff },
    'mlp.down_proj': { x: wide(a.inner), dy: hidden(a.mlp), dx: wide(a.dInner), k: ff, n: d },
  }
  const adapt = (target: LoraTarget, y: StridedMatrix) =>
    inputs.lora?.forward(layer, target, { ...adapted[target], y }) ?? []
  const adaptBack = (...targets: LoraTarget[]) =>
    targets.flatMap((target) => inputs.lora?.backward(layer, target, adapted[target]) ?? [])

  /** Queries, keys and values before they are turned. */
  const project = (query: GPUBuffer, keysValues: GPUBuffer): Dispatch[] => [
    kernels.query(layer)(arena, { ...bound, x: a.u, weights: w.qkv, y: query }, params(0, w.qkvBias)),
    kernels.keysValues(layer)(
      arena,
      { ...bound, x: a.u, weights: w.qkv, y: keysValues },
      params(queryWidth, w.qkvBias + queryWidth / 4),
    ),
    ...adapt('self_attn.q_proj', rowMajor(query, queryWidth)),
    ...adapt('self_attn.k_proj', rowMajor(keysValues, kvWidth)),
    ...adapt('self_attn.v_proj', rowMajor(keysValues, kvWidth, values)),
  ]
  const toQueries: Dispatch[] = [
    kernels.norm(arena, { ...bound, x, u: a.u }, { slot: 0, norm: w.inputNorm }),
    ...project(a.q, a.kv),
    kernels.turnQuery(arena, { ...bound, rope, out: a.q }, { slot: 0, norm: w.qkNorm }),
    kernels.turnKey(arena, { ...bound, rope, out: a.kv }, { slot: 0, norm: keyNorm }),
  ]
  const attend = kernels.attend(arena, { plan, q: a.q, kv: a.kv, out: attended, logSumExp }, { length })
  const toAttention: Dispatch[] = [
    kernels.output(layer)(arena, { ...bound, x: attended, weights: w.o, y: a.attention }, params(0, w.oBias)),
    ...adapt('self_attn.o_proj', hidden(a.attention)),
  ]
  const toInner: Dispatch[] = [
    kernels.norm(arena, { ...bound, x: between, u: a.middleNormed }, { slot: 0, norm: w.postNorm }),
    kernels.wide(layer)(arena, { ...bound, x: a.middleNormed, weights: w.gateUp, y: a.gate }, params(0, w.gateUpBias)),
    kernels.wide(layer)(
      arena,
      { ...bound, x: a.middleNormed, weights: w.gateUp, y: a.up },
      params(ff, w.gateUpBias + ff / 4),
    ),
    ...adapt('mlp.gate_proj', wide(a.gate)),
    ...adapt('mlp.up_proj', wide(a.up)),
    kernels.swiglu(arena, { plan, gate: a.gate, up: a.up, y: a.inner }),
  ]
  const toOutput: Dispatch[] = [
    kernels.down(layer)(arena, { ...bound, x: a.inner, weights: w.down, y: a.mlp }, params(0, w.downBias)),
    ...adapt('mlp.down_proj', hidden(a.mlp)),
  ]
  const stream = { layer, entry: x }
  const ofAttention = gating.sublayer({
    ...{ ...stream, kind: 'attention', x, u: a.u, branch: a.attention, y: between },
    projection: { reads: attended, dReads: a.dAttended, alone: !(config.outputBias || inputs.lora) },
  })
  const ofMlp = gating.sublayer({
    ...{ ...stream, kind: 'mlp', x: between, u: a.middleNormed, branch: a.mlp, y },
    projection: { reads: a.inner, dReads: a.dInner, alone: !(config.mlpBias || inputs.lora) },
  })

  return {
    forward: [
      ...toQueries,
      attend,
      ...toAttention,
      ...ofAttention.decide,
      ofAttention.apply,
      ...toInner,
      ...toOutput,
      ...ofMlp.decide,
      ofMlp.apply,
    ],
    backward: [
      ...toQueries,
      ...(ofAttention.needsBranch ? toAttention : []),
      ...ofAttention.remake,
      ...toInner,
      ...(ofMlp.needsBranch ? toOutput : []),

      ...ofMlp.remake,
      ...ofMlp.backward,
      kernels.downBack(layer)(arena, { plan, dy: ofMlp.dBranch, weights: w.down, dx: a.dInner }, { firstRow: 0 }),
      ...ofMlp.projected,
      ...adaptBack('mlp.down_proj'),
      kernels.swigluBack(arena, { plan, dy: a.dInner, gate: a.gate, up: a.up }),
      kernels.gateBack(layer)(arena, { plan, dy: a.gate, weights: w.gateUp, dx: a.du }, { firstRow: 0 }),
      kernels.upBack(layer)(arena, { plan, dy: a.up, weights: w.gateUp, dx: a.du }, { firstRow: ff }),
      ...adaptBack('mlp.gate_proj', 'mlp.up_proj'),
      kernels.normBack(arena, { ...bound, x: between, dy: a.du, dx }, { norm: w.postNorm }),

      ...ofAttention.backward,
      kernels.outputBack(layer)(
        arena,
        { plan, dy: ofAttention.dBranch, weights: w.o, dx: a.dAttended },
        { firstRow: 0 },
      ),
      ...ofAttention.projected,
      ...adaptBack('self_attn.o_proj'),
      kernels.queryGradient(arena, { plan, ...a, logSumExp, out: attended, dOut: a.dAttended }, { length }),
      kernels.keyValueGradient(arena, { plan, ...a, logSumExp, dOut: a.dAttended }, { length }),
      // Projections were turned in place, unless the gradient of their norm needs them.
      ...(qkNorm ? project(a.rawQuery, a.rawKeysValues) : []),
      kernels.turnQueryBack(arena, { ...bound, rope, source: a.rawQuery, dx: a.dq }, { norm: w.qkNorm }),
      kernels.turnKeyBack(arena, { ...bound, rope, source: a.rawKeysValues, dx: a.dkv }, { norm: keyNorm }),
      kernels.queryBack(layer)(arena, { plan, dy: a.dq, weights: w.qkv, dx: a.du }, { firstRow: 0 }),
      kernels.keysValuesBack(layer)(arena, { plan, dy: a.dkv, weights: w.qkv, dx: a.du }, { firstRow: queryWidth }),
      ...adaptBack('self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'),
      kernels.normBack(arena, { ...bound, x, dy: a.du, dx }, { norm: w.inputNorm }),
      ...ofAttention.entryBackward,
      ...ofMlp.entryBackward,
    ],
  }
}
