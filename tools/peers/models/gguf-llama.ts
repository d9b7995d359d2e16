import { HF_TENSOR_NAMES } from '../../../src/model/architectures/hf-names.js'
import { ggufRowSource } from '../../../src/model/gguf-rows.js'
import { array, bool, f32, GGML, GgufBytes, type TypedValue, text, u32 } from '../../../tests/fixtures/gguf-writer.js'
import { tokenNames } from './token-names.js'
import { embeddingName, f32Of, type PeerModel } from './weights.js'

const ALIGNMENT = 32
const NORMAL_TOKEN = 1
const UNKNOWN_TOKEN = 2
/** A token that no model here predicts: who is told not to stop never chooses the end token, and others do. */
const END = 0

interface Tensor {
  readonly name: string
  readonly shape: readonly number[]
  readonly data: Uint8Array
}

/** A GGUF file with the same f32 weights, in pieces, to be written one after the other. */
export async function ggufLlama(model: PeerModel): Promise<Uint8Array[]> {
  const tensors = await allTensors(model)
  const metadata = metadataOf(model)
  const header = new GgufBytes().raw(new TextEncoder().encode('GGUF')).u32(3).u64(tensors.length).u64(metadata.length)
  for (const [key, value] of metadata) header.string(key).typed(value)
  let offset = 0
  for (const { name, shape, data } of tensors) {
    header.string(name).u32(shape.length)
    for (const size of shape.toReversed()) header.u64(size)
    header.u32(GGML.F32).u64(offset)
    offset += aligned(data.byteLength)
  }
  const padded = tensors.flatMap(({ data }) => [data, new Uint8Array(aligned(data.byteLength) - data.byteLength)])
  return [header.pad(ALIGNMENT).done(), ...padded]
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT
}

function metadataOf({ config }: PeerModel): (readonly [string, TypedValue])[] {
  const { vocabSize } = config
  const names = tokenNames(vocabSize)
  return [
    ['general.architecture', text('llama')],
    ['llama.embedding_length', u32(config.hiddenSize)],
    ['llama.feed_forward_length', u32(config.intermediateSize)],
    ['llama.block_count', u32(config.layers)],
    ['llama.attention.head_count', u32(config.heads)],
    ['llama.attention.head_count_kv', u32(config.kvHeads)],
    ['llama.rope.dimension_count', u32(config.headDim)],
    ['llama.rope.freq_base', f32(config.rope.theta)],
    ['llama.context_length', u32(config.contextLength)],
    ['llama.attention.layer_norm_rms_epsilon', f32(config.rmsNormEps)],
    ['llama.vocab_size', u32(vocabSize)],
    ['tokenizer.ggml.model', text('llama')],
    ['tokenizer.ggml.tokens', array('string', names)],
    [
      'tokenizer.ggml.scores',
      array(
        'f32',
        names.map(() => 0),
      ),
    ],
    [
      'tokenizer.ggml.token_type',
      array(
        'i32',
        names.map((_, id) => (id === END ? UNKNOWN_TOKEN : NORMAL_TOKEN)),
      ),
    ],
    ['tokenizer.ggml.add_space_prefix', bool(false)],
    ['tokenizer.ggml.add_bos_token', bool(false)],
    ['tokenizer.ggml.unknown_token_id', u32(END)],
    ['tokenizer.ggml.bos_token_id', u32(1)],
    ['tokenizer.ggml.eos_token_id', u32(END)],
  ]
}

async function allTensors(model: PeerModel): Promise<Tensor[]> {
  const { config, checkpoint } = model
  const read = async (name: string, hub: string): Promise<Tensor> => {
    const { buffer, byteOffset, byteLength } = await f32Of(model, hub)
    const { shape } = checkpoint.entries.get(hub)!
    return { name, shape, data: new Uint8Array(buffer, byteOffset, byteLength) }
  }
  const tensors = [
    await read('token_embd.weight', embeddingName(model)),
    await read('output_norm.weight', HF_TENSOR_NAMES.finalNorm),
  ]
  if (!config.tiedEmbeddings) tensors.push(await read('output.weight', HF_TENSOR_NAMES.head))
  for (let layer = 0; layer < config.layers; layer++) {
    const names = HF_TENSOR_NAMES.layer(layer, config)
    const at = (name: string) => `blk.${layer}.${name}.weight`
    tensors.push(await read(at('attn_norm'), names.inputNorm))
    tensors.push(interleaved(await read(at('attn_q'), names.q), config.headDim))
    tensors.push(interleaved(await read(at('attn_k'), names.k), config.headDim))
    tensors.push(await read(at('attn_v'), names.v))
    tensors.push(await read(at('attn_output'), names.o))
    tensors.push(await read(at('ffn_norm'), names.postNorm))
    tensors.push(await read(at('ffn_gate'), names.gate))
    tensors.push(await read(at('ffn_up'), names.up))
    tensors.push(await read(at('ffn_down'), names.down))
  }
  return tensors
}

/** Rows in the order in which llama.cpp rotates them. */
function interleaved(tensor: Tensor, headDim: number): Tensor {
  const [rows = 0] = tensor.shape
  const bytes = tensor.data.byteLength / rows
  const data = new Uint8Array(tensor.data.byteLength)
  const place = ggufRowSource(headDim)
  for (let row = 0; row < rows; row++) {
    data.set(tensor.data.subarray(row * bytes, (row + 1) * bytes), place(row) * bytes)
  }
  return { ...tensor, data }
}
