export interface Adjustment {
  /** Added to logits, by id. */
  bias?: Readonly<Record<number, number>>
  /** How often a token was generated. */
  count?: (id: number) => number
  /** Subtracted once for every token that was generated. */
  presence?: number
  /** Subtracted for every time that it was. */
  frequency?: number
  /** Tokens that may come next; the others get -Infinity. */
  allowed?: (id: number) => boolean
}

/**
 * What OpenAI's API defines: `l + bias - frequency * count - presence * (count > 0)`.
 *
 * logits [vocab] -> [vocab]
 */
export function adjustLogits(logits: ArrayLike<number>, a: Adjustment): Float64Array {
  const { bias = {}, count = () => 0, presence = 0, frequency = 0, allowed = () => true } = a
  return Float64Array.from(logits, (logit, id) => {
    if (!allowed(id)) return Number.NEGATIVE_INFINITY
    const times = count(id)
    return logit + (bias[id] ?? 0) - frequency * times - (times > 0 ? presence : 0)
  })
}
