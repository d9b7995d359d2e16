import type { Stage } from '../../tuning/settings.js'
import { lora, routers } from './skipgpt.js'
import type { TuneStage } from './stage.js'

export const TUNE_STAGES: Readonly<Record<Stage, () => Promise<TuneStage>>> = {
  routers: async () => routers,
  lora: async () => lora,
  // Few train these.
  gateskip: async () => (await import('./gateskip.js')).gateskip,
}
