import { type Checkpoint, GGUF_FILE, openCheckpoint, SHARD_INDEX, SINGLE_FILE } from '../model/checkpoint.js'
import { type ModelConfig, parseModelConfig } from '../model/config.js'
import { type FileSource, readJson } from '../storage/source.js'

/** A model whose headers were read. */
export interface ModelFiles {
  /** The folder; where the model is a GGUF file, with the Hugging Face files that it stands for. */
  readonly files: FileSource
  readonly config: ModelConfig
  readonly checkpoint: Checkpoint
}

/** Reads configuration and headers: of the safetensors in a folder, else of its GGUF file. @throws as `loadModel`. */
export async function openModelFiles(folder: FileSource, signal?: AbortSignal): Promise<ModelFiles> {
  if (await isGguf(folder, signal)) return openGgufFiles(folder, signal)
  const config = parseModelConfig(await readJson(folder, 'config.json', signal))
  return { files: folder, config, checkpoint: await openCheckpoint(folder, signal) }
}

async function isGguf(folder: FileSource, signal: AbortSignal | undefined): Promise<boolean> {
  for (const name of [SINGLE_FILE, SHARD_INDEX]) if (await folder.has(name, signal)) return false
  return folder.has(GGUF_FILE, signal)
}

/** Who loads no GGUF files does not load the code for them. */
async function openGgufFiles(folder: FileSource, signal: AbortSignal | undefined): Promise<ModelFiles> {
  const { openGgufFolder } = await import('./gguf-folder.js')
  const { files, config, checkpoint } = await openGgufFolder(folder, signal)
  return { files, config: parseModelConfig(config), checkpoint }
}
