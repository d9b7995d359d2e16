import { adjustLogits } from '../../kernels/reference/adjust-logits.js'
import { argmax } from '../../kernels/reference/argmax.js'
import { penaliseSeen } from '../../kernels/reference/sampling.js'
import type { Sampling } from '../sampling.js'

/** What the choice of a token depends on, besides logits. */
export interface Choice {
  readonly sampling: Sampling
  /** Whether a token is in the context. */
  seen(id: number): boolean
  /** How often this generation has chosen each token, by id. */
  readonly counts: ReadonlyMap<number, number>
  /** The only tokens that may be chosen, a bit each. */
  readonly allowed?: Uint32Array | undefined
}

/** The most probable token of logits [vocab] behind biases, penalties and what is allowed. */
export function mostProbable(logits: Float32Array, choice: Choice): number {
  return argmax(adjusted(logits, choice))
}

/**
 * The probabilities with which the sampler draws from logits [vocab]: the rule of kernels/reference/sampling.ts, behind that of
 * kernels/reference/adjust-logits.ts. The temperature is above 0.
 */
export function distribution(logits: Float32Array, choice: Choice): Float64Array {
  const { temperature, topK, topP, minP } = choice.sampling
  const scaled = adjusted(logits, choice).map((logit) => logit / temperature)
  const vocab = scaled.length
  let best = Number.NEGATIVE_INFINITY
  for (const value of scaled) best = Math.max(best, value)
  const filters = topP < 1 || (topK > 0 && topK < vocab)
  const ascending = filters ? Float64Array.from(scaled).sort() : scaled
  // What is kept is at least this, as tokens of equal logits are kept or dropped together.
  let least = Number.NEGATIVE_INFINITY
  if (topK > 0 && topK < vocab) least = ascending[vocab - topK] as number
  if (topP < 1) least = nucleus(ascending, { best, least, share: topP })
  if (minP > 0) least = Math.max(least, Math.min(best, best + Math.log(minP)))
  let total = 0
  const weights = scaled.map((value) => {
    const weight = value >= least ? Math.exp(value - best) : 0
    total += weight
    return weight
  })
  return weights.map((weight) => weight / total)
}

/** The largest value for which those at least as large have the share of the mass of all that are at least `least`. */
function nucleus(ascending: Float64Array, o: { best: number; least: number; share: number }): number {
  const mass = (i: number) => Math.exp((ascending[i] as number) - o.best)
  let total = 0
  for (let i = ascending.length - 1; i >= 0 && (ascending[i] as number) >= o.least; i--) total += mass(i)
  let i = ascending.length - 1
  for (let sum = mass(i); sum < o.share * total && i > 0; sum += mass(i)) i--
  return ascending[i] as number
}

function adjusted(logits: Float32Array, { sampling, seen, counts, allowed }: Choice): Float64Array {
  const { logitBias: bias, presencePenalty: presence = 0, frequencyPenalty: frequency = 0 } = sampling
  const { repetitionPenalty } = sampling
  const isAdjusted = bias !== undefined || presence !== 0 || frequency !== 0 || allowed !== undefined
  const out = isAdjusted
    ? adjustLogits(logits, {
        ...{ presence, frequency, count: (id) => counts.get(id) ?? 0 },
        ...(bias && { bias }),
        ...(allowed && { allowed: (id: number) => (((allowed[id >> 5] as number) >>> (id & 31)) & 1) === 1 }),
      })
    : Float64Array.from(logits)
  return repetitionPenalty === 1 ? out : penaliseSeen(out, { repetitionPenalty, seen })
}
