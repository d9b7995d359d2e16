import type { Target } from '../../src/runtime/target.js'
import { initialLora, initialRouters } from '../../src/tuning/initial.js'
import { initialGates } from '../../src/tuning/initial-gates.js'
import { defaultSettings, type TrainingSettings } from '../../src/tuning/settings.js'
import type { TrainingInputs } from '../../src/tuning/training.js'
import { randomIds } from '../fixtures/tiny-model.js'

export const LENGTH = 12

/** A short run of a tiny model. */
export function tinyInputs({ shape }: Target, changes: Partial<TrainingSettings>): TrainingInputs {
  const settings: TrainingSettings = {
    ...defaultSettings(shape, changes.stage ?? 'routers', changes.recipe),
    ...{ target: 0.3, steps: 8, batch: 2, length: LENGTH, rank: 3, alpha: 6 },
    ...changes,
  }
  const first = {
    routers: () => ({ trained: initialRouters(shape, 3, settings.recipe) }),
    lora: () => ({ trained: initialLora(shape, settings, 4), under: initialRouters(shape, 3, 'published') }),
    gateskip: () => ({ trained: initialGates(shape, 3) }),
  }
  return {
    settings,
    windows: Array.from({ length: 5 }, (_, i) => randomIds(settings.length, 70 + i)),
    ends: new Set([2]),
    ...first[settings.stage](),
  }
}
