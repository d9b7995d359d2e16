import type { Stage } from '../../tuning/settings.js'
import { gateskip } from './gateskip.js'
import { lora, routers } from './skipgpt.js'
import type { TuneStage } from './stage.js'

export const TUNE_STAGES: Readonly<Record<Stage, TuneStage>> = { routers, lora, gateskip }
