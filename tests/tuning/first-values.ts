import type { RuntimeShape } from '../../src/runtime/shape.js'
import { loadRouters } from '../../src/sdk/routers.js'
import type { FileSource } from '../../src/storage/source.js'
import { initialLora, initialRouters, unfoldRouters } from '../../src/tuning/initial.js'
import { initialGates } from '../../src/tuning/initial-gates.js'
import { defaultSettings, type TrainingSettings } from '../../src/tuning/settings.js'

/** What a run of a stage begins with, as published: routers or gates of its own, or a LoRA of its own under the routers that lie in `trained`. */
export async function firstValues(shape: RuntimeShape, trained: FileSource, changes: Partial<TrainingSettings>) {
  const stage = changes.stage ?? 'routers'
  const settings: TrainingSettings = { ...defaultSettings(shape, stage, 'published'), target: 0.25, ...changes }
  if (stage === 'routers') return { settings, trained: initialRouters(shape, 3, settings.recipe) }
  if (stage === 'gateskip') return { settings, trained: initialGates(shape, 3) }
  const folded = await loadRouters(trained, shape.config, undefined)
  if (!folded) throw new Error(`${trained.description} has no routers.`)
  return { settings, trained: initialLora(shape, settings, 4), under: unfoldRouters(folded), folded }
}
