import { jsonObject, optionalBoolean, optionalInteger, optionalNumber } from '../formats/json.js'
import { tokenIds } from './token-ids.js'

/** What a model's authors recommend for generation; undefined where they say nothing. */
export interface GenerationConfig {
  /** Any of these ends a generation. Empty where the file names none. */
  readonly eosTokenIds: readonly number[]
  readonly bosTokenId: number | undefined
  /** False means greedy, whatever the sampling settings below say. */
  readonly doSample: boolean | undefined
  readonly temperature: number | undefined
  /** 0 means off. */
  readonly topK: number | undefined
  readonly topP: number | undefined
  readonly minP: number | undefined
  readonly repetitionPenalty: number | undefined
}

const WHAT = 'generation_config.json'

/** A parsed `generation_config.json`. `bad-file` where a value has the wrong type or is out of range. */
export function parseGenerationConfig(json: unknown): GenerationConfig {
  const config = jsonObject(json, WHAT)
  return {
    eosTokenIds: tokenIds(config, 'eos_token_id', WHAT),
    bosTokenId: optionalInteger(config, 'bos_token_id', WHAT),
    doSample: optionalBoolean(config, 'do_sample', WHAT),
    temperature: optionalNumber(config, 'temperature', WHAT, 0),
    topK: optionalInteger(config, 'top_k', WHAT),
    topP: optionalNumber(config, 'top_p', WHAT, 0, 1),
    minP: optionalNumber(config, 'min_p', WHAT, 0, 1),
    repetitionPenalty: optionalNumber(config, 'repetition_penalty', WHAT, Number.MIN_VALUE),
  }
}
