import { SkipstoneError, type TuneOptions } from '../../src/index.js'
import type { DTYPES } from '../compare/setting.js'
import { percent } from '../format.js'
import { STAGES, type Stage } from './stages.js'

/** What is asked of a run, as plain data that outlives the page. */
export interface TuneRequest {
  /** Where the model is; '' is the embedded one. */
  readonly address: string
  readonly stage: Stage
  /** How its weights are held; the embedded model's as they are stored. */
  readonly dtype: (typeof DTYPES)[number]
  /** The routers to begin with, or those under which a LoRA trains; gates begin with new ones. */
  readonly routers: 'new' | 'trained' | 'own'
  /** Undefined: what the model writes itself. */
  readonly text: string | undefined
  /** Share to skip. */
  readonly target: number
  /** Undefined: what the library takes. */
  readonly steps: number | undefined
  readonly batch: number | undefined
  readonly context: number | undefined
  readonly sampled: number | undefined
  readonly learningRate: number | undefined
}

/** @throws `bad-option` in the page's own words, where the library's would speak of options that nobody sees. */
export function check({ stage, routers, text, target }: TuneRequest): void {
  if (STAGES[stage].decides && !(target > 0 && target <= 0.9)) {
    throw new SkipstoneError('bad-option', 'The share to skip is a number above 0 and at most 90 %.')
  }
  if (stage === 'lora' && routers === 'new') {
    throw new SkipstoneError(
      'bad-option',
      'A LoRA trains under routers that have learned: choose those that were trained on this page, or the model’s own.',
    )
  }
  if (text?.trim() === '') throw new SkipstoneError('bad-option', 'There is no text to train on: give some.')
}

export function optionsOf({ stage, routers, text, target, ...numbers }: TuneRequest): TuneOptions {
  const { steps, batch, context, sampled, learningRate } = numbers
  return {
    ...{ stage, steps, batch, context, sampled, learningRate, data: text === undefined ? 'self' : { text } },
    ...(STAGES[stage].decides && { target, existing: routers === 'new' ? 'replace' : 'continue' }),
  }
}

/** “routers that skip 25 % of Pebble, on its own text”. */
export function describe({ address, stage, text, target }: TuneRequest): string {
  const model = address === '' ? 'Pebble' : address
  const { decides } = STAGES[stage]
  const what = decides
    ? `${decides.name.toLowerCase()} that skip ${percent(target)} of ${model}`
    : `a LoRA for ${model}`
  return `${what}, on ${text === undefined ? 'its own text' : 'your text'}`
}
