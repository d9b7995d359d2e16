import { open } from 'node:fs/promises'
import path from 'node:path'
import type { ModelConfig } from '../../../src/model/config.js'
import { ggufLlama } from './gguf-llama.js'
import { hubConfig, hubWeights } from './hub-files.js'
import { onnxFile } from './onnx-file.js'
import { onnxLlama } from './onnx-llama.js'
import { tokenNames } from './token-names.js'
import type { PeerModel } from './weights.js'

/** Writes one model as every engine reads it: a Hugging Face folder, `model.onnx` and `model.gguf`, the same f32 weights in each. */
export async function writeModelFolder(model: PeerModel, folder: string): Promise<void> {
  const json = (value: unknown) => [new TextEncoder().encode(JSON.stringify(value))]
  await write(path.join(folder, 'config.json'), json(hubConfig(model.config)))
  await write(path.join(folder, 'tokenizer.json'), json(tokenizer(model.config)))
  await write(path.join(folder, 'model.safetensors'), [await hubWeights(model)])
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
