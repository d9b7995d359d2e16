import { SkipstoneError } from '../errors.js'
import { checkLayers, checkPresent, type GateTensors, gateTensor } from './gate-tensors.js'
import type { Adapter, GateHead, Gates } from './gates.js'
import type { SkipPolicy } from './policy.js'
import { named } from './policy-name.js'

/** Names of the tensors, as the released model has them. */
export const FLEXIDEPTH_TENSORS =
  /^model\.layers\.\d+\.(router\.router_(norm\.weight|(enc|dec|head)\.(weight|bias))|router_proj\.(gate|down|up)_proj\.(weight|bias))$/

/**
 * Of some or all layers; the others always run. With r the router's units and m the adapter's, the same in every layer,
 *
 *     model.layers.{i}.router.router_{enc [r, d], norm [r], dec [d, r], head [1, d]}.weight
 *     model.layers.{i}.router_proj.{gate_proj [m, d], down_proj [m, d], up_proj [d, m]}.weight
 *
 * and a `.bias` beside each but the norm, where the model was made with biases in its MLPs. In the adapter it is `down` that leads to m units and
 * `up` that leads back. Nothing stands between `dec` and `head`: they are multiplied here.
 * @throws `missing-weights`, `wrong-model`, `bad-file`.
 */
export function readFlexiDepth(
  tensors: GateTensors,
  { layers, hiddenSize: d }: { readonly layers: number; readonly hiddenSize: number },
): Gates {
  checkPresent(tensors, 'flexidepth', 'routers and adapters, "model.layers.16.router.router_enc.weight" and so on')
  checkLayers(tensors, /layers\.(\d+)\./, layers)
  const keyOf = (layer: number, part: string) => `model.layers.${layer}.${part}`
  const routed = new Set([...tensors.keys()].map((key) => Number(/layers\.(\d+)\./.exec(key)?.[1])))
  const [first = 0] = routed
  // A size that is not there, or 0, becomes one that its tensor does not have.
  const sizeOf = (part: string) => tensors.get(keyOf(first, part))?.shape[0] || 1
  const r = sizeOf('router.router_enc.weight')
  const m = sizeOf('router_proj.gate_proj.weight')

  const weightOf = (layer: number, part: string, shape: readonly number[]) =>
    gateTensor(tensors, keyOf(layer, `${part}.weight`), shape)
  const biasOf = (layer: number, part: string, size: number) => {
    const key = keyOf(layer, `${part}.bias`)
    return tensors.has(key) ? gateTensor(tensors, key, [size]) : new Float32Array(size)
  }
  const matrixOf = (layer: number, part: string, rows: number, k: number) => ({
    weight: weightOf(layer, part, [rows, k]),
    bias: biasOf(layer, part, rows),
  })
  const ofLayers = <T>(read: (layer: number) => T) =>
    Array.from({ length: layers }, (_, layer) => (routed.has(layer) ? read(layer) : undefined))

  const hidden = ofLayers((layer) => matrixOf(layer, 'router.router_enc', r, d))
  const heads = ofLayers((layer): GateHead => {
    const norm = weightOf(layer, 'router.router_norm', [r])
    const back = matrixOf(layer, 'router.router_dec', d, r)
    const head = weightOf(layer, 'router.router_head', [1, d])
    const [bias = 0] = biasOf(layer, 'router.router_head', 1)
    const folded = { norm, weight: product(head, back.weight, r), bias: bias + (product(head, back.bias, 1)[0] ?? 0) }
    if (Number.isFinite(folded.bias) && folded.weight.every(Number.isFinite)) return folded
    throw new SkipstoneError(
      'bad-file',
      `"${keyOf(layer, 'router.router_dec.weight')}" times its head is too large for f32; fetch or export the file again.`,
    )
  })
  const adapters = ofLayers((layer): Adapter => {
    const gate = matrixOf(layer, 'router_proj.gate_proj', m, d)
    const up = matrixOf(layer, 'router_proj.down_proj', m, d)
    return {
      gateUp: { weight: joined(gate.weight, up.weight), bias: joined(gate.bias, up.bias) },
      down: matrixOf(layer, 'router_proj.up_proj', d, m),
    }
  })
  const isBf16 = adapters.every((its) => !its || (holdsBf16(its.gateUp.weight) && holdsBf16(its.down.weight)))
  return {
    reads: 'normed',
    layers: hidden,
    outputs: r,
    tie: 'skips',
    output: { offset: 0, gain: 1 },
    ofLayers: {
      heads,
      activation: 'tanh',
      initials: 0,
      adapters: { layers: adapters, units: m, dtype: isBf16 ? 'bf16' : 'f32' },
    },
  }
}

/**
 * FlexiDepth (arXiv 2503.23798, COLM'25): a router decides for a whole layer, and a token that skips it gets a small MLP instead. With u the stream
 * behind the norm of attention and n the norm of the MLP, as the released model has them,
 *
 *     g = sigmoid(head · dec · tanh(RMSNorm(enc u)))
 *     g > threshold:   y = x + attention(u),  x = y + g · MLP(n(y))
 *     else:            x = x + (1 − g) · adapter(n(x)),   adapter(v) = up(silu(gate v) ⊙ down v)
 *
 * The released model has them in its second half. Keys and values are made for every token, as the paper has it, so that later tokens see
 * those that skipped. Departures: `head · dec` is one vector, rounded to f32 once; and the threshold, fixed at 0.5 there, is an option here. A
 * gate still scales as it was trained to, so that another threshold than 0.5 is another network than the trained one.
 * Adapters stay on the GPU as long as the model, and count in no budget for its weights (`gpuBudget`).
 */
export function flexidepth({ threshold }: { readonly threshold: number }, gates: Gates): SkipPolicy {
  return {
    name: named('flexidepth', [threshold === 0.5 ? '' : `threshold=${threshold}`]),
    decide: (sublayer) => (gates.layers[sublayer >> 1] ? 'routed' : 'run'),
    scoring: { kind: 'gates', mlp: gates },
    threshold: () => threshold,
  }
}

/** row [d] · matrix [d, columns], added up in f64. */
function product(row: Float32Array, matrix: Float32Array, columns: number): Float32Array {
  const sums = new Float64Array(columns)
  for (let i = 0; i < row.length; i++) {
    for (let j = 0; j < columns; j++) sums[j] = sums[j]! + row[i]! * matrix[i * columns + j]!
  }
  return Float32Array.from(sums)
}

function joined(first: Float32Array, second: Float32Array): Float32Array {
  const both = new Float32Array(first.length + second.length)
  both.set(first)
  both.set(second, first.length)
  return both
}

/** Whether bf16, the upper half of an f32, holds every value. */
function holdsBf16(values: Float32Array): boolean {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length)
  return words.every((word) => (word & 0xffff) === 0)
}
