import type { InspectOptions, ModelSummary } from './inspect.js'
import type { ModelSource } from './options.js'

/**
 * Reads only the headers of a model and says what it is, how large it is, and what it needs. Nothing is stored, and no GPU is
 * needed. @throws as `loadModel`.
 */
export async function inspectModel(source: ModelSource, options: InspectOptions = {}): Promise<ModelSummary> {
  const { summarise } = await import('./inspect.js')
  return summarise(source, options)
}
