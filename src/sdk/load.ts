import type { Model } from './model-api.js'
import type { LoadOptions, ModelSource } from './options.js'

/**
 * Loads a Hugging Face checkpoint as it is (`config.json`, `model.safetensors` or its shards, `tokenizer.json`), or a GGUF file.
 * What comes from a server is kept in the browser's database; a load that was interrupted goes on where it stopped.
 * @throws `no-webgpu`, `no-adapter`, `not-found`, `network`, `quota`, `storage`, `corrupt`, `bad-file`, `unsupported`,
 * `missing-tensor`, `wrong-model`, `out-of-memory`, `bad-option` (gpuBudget), `aborted`.
 */
export async function loadModel(source: ModelSource, options: LoadOptions = {}): Promise<Model> {
  // A page is there before its engine is: most of the code comes with the first model.
  const { loadEngineModel } = await import('./load-model.js')
  return loadEngineModel(source, options)
}
