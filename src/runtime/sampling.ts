import { SkipstoneError } from '../errors.js'
import { MAX_STOPS } from './sequence-buffers.js'

/** How the next token is chosen; kernels/reference/sampling.ts is the exact rule. */
export interface Sampling {
  /** 0 takes the most probable token. */
  temperature: number
  /** Keep the k most probable tokens; 0 keeps all. */
  topK: number
  /** Keep the most probable tokens that together reach this share, in (0, 1]; 1 keeps all. */
  topP: number
  /** Keep tokens at least this probable, relative to the best, in [0, 1]. */
  minP: number
  /** Divides (multiplies, where negative) the logits of tokens in the context; 1 is off. */
  repetitionPenalty: number
  /** A 32-bit integer; the same seed, model and device give the same text. */
  seed: number
  /** Tokens that end the generation. */
  stopIds: readonly number[]
}

export const GREEDY: Sampling = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  seed: 0,
  stopIds: [],
}

/** @throws `bad-option` naming the option that is out of range. */
export function checkSampling(s: Sampling): void {
  const demand = (ok: boolean, name: string, value: unknown, range: string) => {
    if (!ok) throw new SkipstoneError('bad-option', `${name} must be ${range}, not ${String(value)}.`)
  }
  demand(Number.isFinite(s.temperature) && s.temperature >= 0, 'temperature', s.temperature, '0 or more')
  demand(Number.isInteger(s.topK) && s.topK >= 0, 'topK', s.topK, 'a whole number, 0 or more')
  demand(s.topP > 0 && s.topP <= 1, 'topP', s.topP, 'above 0 and at most 1')
  demand(s.minP >= 0 && s.minP <= 1, 'minP', s.minP, 'between 0 and 1')
  demand(
    Number.isFinite(s.repetitionPenalty) && s.repetitionPenalty > 0,
    'repetitionPenalty',
    s.repetitionPenalty,
    'above 0',
  )
  demand(Number.isInteger(s.seed), 'seed', s.seed, 'a whole number')
  demand(s.stopIds.length <= MAX_STOPS, 'stopIds', s.stopIds.length, `at most ${MAX_STOPS} ids`)
}
