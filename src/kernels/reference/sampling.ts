import { argmax } from './argmax.js'
import { pcgHash } from './random.js'

export interface SamplingOptions {
  /** 0 is greedy: the arg-max of the logits after the repetition penalty. */
  temperature: number
  /** Keep the k largest logits, k >= 1. */
  topK?: number
  /** Keep the most probable tokens that together have this share of the probability, 0 to 1. */
  topP?: number
  /** Keep tokens with at least this share of the best token's probability. */
  minP?: number
  /** Replaces logits of seen tokens, `l > 0 ? l / p : l * p`. */
  repetitionPenalty?: number
  seed: number
  /** Counts the sampled tokens, so that every step draws other numbers from the same seed. */
  counter: number
  /** Whether a token has occurred in the prompt or in the output. */
  seen?: (id: number) => boolean
}

/**
 * The next token: the rule of the GPU sampler, in its order. Repetition penalty, temperature, the three filters of
 * `keptTokens`, then Gumbel-max: `argmax_i l_i / T - ln(-ln u_i)` over the kept tokens is a draw from their softmax.
 * The lowest id wins ties.
 *
 * logits [vocab] -> id
 */
export function sample(logits: ArrayLike<number>, options: SamplingOptions): number {
  const penalised = penaliseSeen(logits, options)
  if (options.temperature === 0) return argmax(penalised)

  const scaled = penalised.map((l) => l / options.temperature)
  const noisy = new Float64Array(logits.length).fill(-Infinity)
  for (const id of filter(scaled, options)) noisy[id] = scaled[id]! + gumbel(options.seed, options.counter, id)
  return argmax(noisy)
}

/**
 * The ids that sampling may draw, ascending. Only for `temperature > 0`. Every filter is a threshold on the logit, so tokens
 * with equal logits are kept or dropped together.
 *
 * logits [vocab] -> ids
 */
export function keptTokens(logits: ArrayLike<number>, options: SamplingOptions): number[] {
  return filter(
    penaliseSeen(logits, options).map((l) => l / options.temperature),
    options,
  )
}

/** The repetition penalty. logits [vocab] -> [vocab] */
export function penaliseSeen(
  logits: ArrayLike<number>,
  options: Pick<SamplingOptions, 'repetitionPenalty' | 'seen'>,
): Float64Array {
  const { repetitionPenalty: penalty = 1, seen = () => false } = options
  return Float64Array.from(logits, (l, id) => {
    if (!seen(id)) return l
    return l > 0 ? l / penalty : l * penalty
  })
}

/** Top-k, then top-p over the softmax of what it kept, then min-p. */
function filter(scaled: Float64Array, options: SamplingOptions): number[] {
  let kept = Array.from(scaled.keys())
  if (options.topK !== undefined) kept = topK(scaled, kept, options.topK)
  if (options.topP !== undefined) kept = topP(scaled, kept, options.topP)
  if (options.minP !== undefined) kept = minP(scaled, kept, options.minP)
  return kept
}

/** Every logit that is at least the k-th largest. */
function topK(scaled: Float64Array, kept: number[], k: number): number[] {
  const descending = kept.map((id) => scaled[id]!).sort((a, b) => b - a)
  const threshold = descending[Math.min(k, descending.length) - 1]!
  return kept.filter((id) => scaled[id]! >= threshold)
}

/** Every logit that is at least t: the largest value for which the tokens with logit >= t have mass >= p * total. */
function topP(scaled: Float64Array, kept: number[], p: number): number[] {
  const descending = kept.map((id) => scaled[id]!).sort((a, b) => b - a)
  const masses = descending.map((l) => Math.exp(l - descending[0]!))
  const total = masses.reduce((sum, mass) => sum + mass, 0)
  let last = 0
  for (let mass = masses[0]!; mass < p * total; mass += masses[last]!) last++
  return kept.filter((id) => scaled[id]! >= descending[last]!)
}

/** Every token with `p_i >= minP * p_max`; the softmax's denominator cancels, and the best token is always among the kept. */
function minP(scaled: Float64Array, kept: number[], share: number): number[] {
  const largest = scaled[argmax(scaled)]!
  return kept.filter((id) => Math.exp(scaled[id]! - largest) >= share)
}

/**
 * Standard Gumbel noise `-ln(-ln(1 - v))`. 23 bits and a half are exact in f32, and large noise comes from small v, where
 * f32 is fine-grained: 24 bits, or the noise of v itself, would round to infinity on the GPU.
 */
export function gumbel(seed: number, counter: number, id: number): number {
  const v = ((pcgHash(seed, counter, id) >>> 9) + 0.5) / 2 ** 23
  return -Math.log(-Math.log1p(-v))
}
