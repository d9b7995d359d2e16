import { type Checkpoint, openCheckpoint, SHARD_INDEX, SINGLE_FILE } from '../model/checkpoint.js'
import { type ModelConfig, parseModelConfig } from '../model/config.js'
import { GGUF_FILE, type GgufModel, openGguf } from '../model/gguf-file.js'
import { type FileSource, readJson } from '../storage/source.js'
import { GgufFolder } from './gguf-folder.js'

/** A model whose headers were read. */
export interface ModelFiles {
  /** The folder; where the model is a GGUF file, with the Hugging Face files that it stands for. */
  readonly files: FileSource
  readonly config: ModelConfig
  readonly checkpoint: Checkpoint
}

/** Reads configuration and headers: of the safetensors in a folder, else of its GGUF file. @throws as `loadModel`. */
export async function openModelFiles(folder: FileSource, signal?: AbortSignal): Promise<ModelFiles> {
  const gguf = await findGguf(folder, signal)
  const files = gguf ? new GgufFolder(folder, gguf) : folder
  const config = parseModelConfig(await readJson(files, 'config.json', signal))
  return { files, config, checkpoint: gguf?.checkpoint ?? (await openCheckpoint(files, signal)) }
}

async function findGguf(folder: FileSource, signal: AbortSignal | undefined): Promise<GgufModel | undefined> {
  for (const name of [SINGLE_FILE, SHARD_INDEX]) if (await folder.has(name, signal)) return undefined
  return (await folder.has(GGUF_FILE, signal)) ? openGguf(folder, signal) : undefined
}
