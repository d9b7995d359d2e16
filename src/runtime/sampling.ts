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
  /** Added to the logits of these ids, before everything else. */
  logitBias?: Readonly<Record<number, number>> | undefined
  /** Subtracted from the logit of every token that this generation has chosen before, in [-2, 2]; 0 is off. */
  presencePenalty?: number | undefined
  /** The same for every time that it was chosen. */
  frequencyPenalty?: number | undefined
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

/** The widest bias either way, as in OpenAI's API: more than any model's logits are apart. */
const MAX_BIAS = 100

/** @throws `bad-option` naming the option that is out of range. */
export function checkSampling(s: Sampling, vocab: number): void {
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
  for (const name of ['presencePenalty', 'frequencyPenalty'] as const) {
    const penalty = s[name] ?? 0
    demand(penalty >= -2 && penalty <= 2, name, penalty, 'between -2 and 2')
  }
  const isId = (id: string) => /^\d+$/.test(id) && Number(id) < vocab
  for (const [id, bias] of Object.entries(s.logitBias ?? {})) {
    demand(isId(id), 'every key of logitBias', id, `a token id, from 0 to ${vocab - 1}`)
    demand(bias >= -MAX_BIAS && bias <= MAX_BIAS, `logitBias[${id}]`, bias, `between -${MAX_BIAS} and ${MAX_BIAS}`)
  }
  demand(Number.isInteger(s.seed), 'seed', s.seed, 'a whole number')
  demand(s.stopIds.length <= MAX_STOPS, 'stopIds', s.stopIds.length, `at most ${MAX_STOPS} ids`)
}
