import { open } from 'node:fs/promises'
import path from 'node:path'
import { writeSafetensors } from '../../../src/formats/safetensors-writer.js'
import type { ModelConfig } from '../../../src/model/config.js'
import { ggufLlama } from './gguf-llama.js'
import { onnxFile } from './onnx-file.js'
import { onnxLlama } from './onnx-llama.js'
import { tokenNames } from './token-names.js'
import { f32Of, type PeerModel } from './weights.js'

/** Writes one model as every engine reads it: a Hugging Face folder, `model.onnx` and `model.gguf`, the same f32 weights in each. */
export async function writeModelFolder(model: PeerModel, folder: string): Promise<void> {
  const json = (value: unknown) => [new TextEncoder().encode(JSON.stringify(value))]
  await write(path.join(folder, 'config.json'), json(hubConfig(model.config)))
  await write(path.join(folder, 'tokenizer.json'), json(tokenizer(model.config)))
  await write(path.join(folder, 'model.safetensors'), [await safetensors(model)])
  await write(path.join(folder, 'model.onnx'), onnxFile(await onnxLlama(model)))
  await write(path.join(folder, 'model.gguf'), await ggufLlama(model))
}

async function write(file: string, parts: readonly Uint8Array[]): Promise<void> {
  const handle = await open(file, 'w')
  try {
    for (const part of parts) await handle.writeFile(part)
  } finally {
    await handle.close()
  }
}

async function safetensors(model: PeerModel): Promise<Uint8Array> {
  const tensors = new Map<string, { dtype: 'F32'; shape: readonly number[]; data: Uint8Array }>()
  for (const [name, { shape }] of model.checkpoint.entries) {
    const { buffer, byteOffset, byteLength } = await f32Of(model, name)
    tensors.set(name, { dtype: 'F32', shape, data: new Uint8Array(buffer, byteOffset, byteLength) })
  }
  return writeSafetensors(tensors)
}

function hubConfig(config: ModelConfig): Record<string, unknown> {
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_act: 'silu',
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.kvHeads,
    head_dim: config.headDim,
    vocab_size: config.vocabSize,
    max_position_embeddings: config.contextLength,
    rms_norm_eps: config.rmsNormEps,
    rope_theta: config.rope.theta,
    tie_word_embeddings: config.tiedEmbeddings,
    bos_token_id: 1,
    eos_token_id: 2,
    torch_dtype: 'float32',
  }
}

function tokenizer({ vocabSize }: ModelConfig): Record<string, unknown> {
  const vocab = Object.fromEntries(tokenNames(vocabSize).map((name, id) => [name, id]))
  const model = { type: 'BPE', dropout: null, unk_token: null, vocab, merges: [] }
  return {
    version: '1.0',
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
    model,
  }
}
