import { HF_TENSOR_NAMES } from '../../../src/model/architectures/hf-names.js'
import { ropeTable } from '../../../src/model/rope.js'
import { pastName, presentName } from './cache-names.js'
import type { Attribute, OnnxGraph, OnnxNode, OnnxTensor } from './onnx-file.js'
import { embeddingName, f32Of, type PeerModel, transposed } from './weights.js'

/**
 * A Llama as ONNX Runtime runs it fastest: its own fused operators as its model builder for GPUs uses them, Q, K and V in one product, RoPE
 * inside the attention, the head for the last position only, and the most probable token chosen on the GPU.
 *
 * Inputs: `input_ids` [1, n], `seqlens_k` [1] (positions before the end, less one), `total` (scalar: positions in all), `past.*`
 * [1, kvHeads, positions so far, headDim]. Outputs: `token` [1], `present.*`.
 */
export async function onnxLlama(model: PeerModel): Promise<OnnxGraph> {
  const graph = new LlamaGraph(model)
  await graph.build()
  return graph
}

const TENSORS = HF_TENSOR_NAMES
const integer = (value: number): Attribute => ({ integer: value })

class LlamaGraph implements OnnxGraph {
  readonly nodes: OnnxNode[] = []
  readonly tensors: OnnxTensor[] = []
  readonly inputs: OnnxGraph['inputs']
  readonly outputs: OnnxGraph['outputs']
  readonly #model: PeerModel

  constructor(model: PeerModel) {
    this.#model = model
    const { layers, kvHeads, headDim } = model.config
    const caches = (name: typeof pastName, length: string) =>
      Array.from({ length: layers }, (_, layer) =>
        (['key', 'value'] as const).map((of) => ({
          name: name(layer, of),
          type: 'float' as const,
          shape: [1, kvHeads, length, headDim],
        })),
      ).flat()
    this.inputs = [
      { name: 'input_ids', type: 'int64', shape: [1, 'n'] },
      { name: 'seqlens_k', type: 'int32', shape: [1] },
      { name: 'total', type: 'int32', shape: [] },
      ...caches(pastName, 'past'),
    ]
    this.outputs = [{ name: 'token', type: 'int64', shape: [1] }, ...caches(presentName, 'positions')]
  }

  async build(): Promise<void> {
    const { layers, hiddenSize: d, vocabSize } = this.#model.config
    await this.#shared()
    const embedding = await f32Of(this.#model, embeddingName(this.#model))
    this.#tensor('embedding', [vocabSize, d], embedding)
    this.#node('Gather', ['embedding', 'input_ids'], ['x.0'])
    await this.#norm('norm.0', TENSORS.layer(0, this.#model.config).inputNorm)
    this.#node('SimplifiedLayerNormalization', ['x.0', 'norm.0'], ['normed.0'], this.#epsilon({ axis: integer(-1) }))
    for (let layer = 0; layer < layers; layer++) await this.#layer(layer)
    this.#node('Gather', [`normed.${2 * layers}`, 'last'], ['end'], { axis: integer(1) })
    const tied = this.#model.config.tiedEmbeddings
    if (!tied) this.#tensor('head', [vocabSize, d], await f32Of(this.#model, TENSORS.head))
    this.#node('Gemm', ['end', tied ? 'embedding' : 'head'], ['logits'], { transB: integer(1) })
    this.#node('ArgMax', ['logits'], ['token'], { axis: integer(-1), keepdims: integer(0) })
  }

  async #shared(): Promise<void> {
    const { rope, headDim, contextLength } = this.#model.config
    const half = headDim / 2
    const table = ropeTable(rope, headDim, 0, contextLength)
    const columns = (from: number) =>
      Float32Array.from(
        { length: contextLength * half },
        (_, i) => table[Math.floor(i / half) * headDim + from + (i % half)] as number,
      )
    this.#tensor('cos', [contextLength, half], columns(0))
    this.#tensor('sin', [contextLength, half], columns(half))
    this.tensors.push({ name: 'last', type: 'int64', shape: [], data: new Uint8Array(BigInt64Array.of(-1n).buffer) })
  }

  async #layer(layer: number): Promise<void> {
    const { config } = this.#model
    const { hiddenSize: d, intermediateSize: ff, heads, kvHeads, headDim, layers } = config
    const names = TENSORS.layer(layer, config)
    const at = (name: string) => `${name}.${layer}`
    const [first, second, third] = [2 * layer, 2 * layer + 1, 2 * layer + 2]

    await this.#product(`normed.${first}`, at('qkv'), [names.q, names.k, names.v], d)
    this.#contrib(
      'GroupQueryAttention',
      [at('qkv'), '', '', pastName(layer, 'key'), pastName(layer, 'value'), 'seqlens_k', 'total', 'cos', 'sin'],
      [at('attention'), presentName(layer, 'key'), presentName(layer, 'value')],
      {
        num_heads: integer(heads),
        kv_num_heads: integer(kvHeads),
        scale: { float: 1 / Math.sqrt(headDim) },
        do_rotary: integer(1),
        rotary_interleaved: integer(0),
      },
    )
    await this.#product(at('attention'), at('o'), [names.o], heads * headDim)
    await this.#skipNorm(first, second, at('o'), names.postNorm)

    await this.#product(`normed.${second}`, at('gate'), [names.gate], d)
    await this.#product(`normed.${second}`, at('up'), [names.up], d)
    this.#contrib('QuickGelu', [at('gate')], [at('silu')], { alpha: { float: 1 } })
    this.#node('Mul', [at('silu'), at('up')], [at('mlp')])
    await this.#product(at('mlp'), at('down'), [names.down], ff)
    const next = layer + 1 < layers ? TENSORS.layer(layer + 1, config).inputNorm : TENSORS.finalNorm
    await this.#skipNorm(second, third, at('down'), next)
  }

  /** `out` = `input` times the matrices of these tensors, side by side. */
  async #product(input: string, out: string, tensors: readonly string[], k: number): Promise<void> {
    const parts = await Promise.all(tensors.map((name) => f32Of(this.#model, name)))
    const rows = parts.reduce((sum, part) => sum + part.length / k, 0)
    const stacked = new Float32Array(rows * k)
    let offset = 0
    for (const part of parts) {
      stacked.set(part, offset)
      offset += part.length
    }
    this.#tensor(`${out}.weight`, [k, rows], transposed(stacked, rows, k))
    this.#node('MatMul', [input, `${out}.weight`], [out])
  }

  /** Adds a sublayer's output to the residual stream, and normalises the sum. */
  async #skipNorm(from: number, to: number, added: string, weight: string): Promise<void> {
    await this.#norm(`norm.${to}`, weight)
    this.#contrib(
      'SkipSimplifiedLayerNormalization',
      [`x.${from}`, added, `norm.${to}`],
      [`normed.${to}`, '', '', `x.${to}`],
      this.#epsilon({}),
    )
  }

  async #norm(name: string, weight: string): Promise<void> {
    this.#tensor(name, [this.#model.config.hiddenSize], await f32Of(this.#model, weight))
  }

  #epsilon(attributes: Record<string, Attribute>): Record<string, Attribute> {
    return { ...attributes, epsilon: { float: this.#model.config.rmsNormEps } }
  }

  #tensor(name: string, shape: readonly number[], values: Float32Array<ArrayBuffer>): void {
    const data = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
    this.tensors.push({ name, type: 'float', shape, data })
  }

  #node(op: string, inputs: readonly string[], outputs: readonly string[], attributes = {}): void {
    this.nodes.push({ op, inputs, outputs, attributes })
  }

  #contrib(op: string, inputs: readonly string[], outputs: readonly string[], attributes: object): void {
    this.nodes.push({ op, domain: 'com.microsoft', inputs, outputs, attributes: { ...attributes } })
  }
}
