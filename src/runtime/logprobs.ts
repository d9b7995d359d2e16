/** As many as OpenAI's API gives. */
export const MAX_LOGPROBS = 20

/** How probable a token was to the model itself: before biases, penalties, temperature, filters and formats. */
export interface TokenLogprobs {
  /** Natural logarithm of the probability of the token that was chosen. */
  readonly logprob: number
  /** The most probable tokens, the best first; the lower id first among equals. */
  readonly top: readonly { readonly token: number; readonly logprob: number }[]
}

/** Of a step's logits; `count` is small. */
export function tokenLogprobs(logits: Float32Array, token: number, count: number): TokenLogprobs {
  let largest = Number.NEGATIVE_INFINITY
  for (const logit of logits) largest = Math.max(largest, logit)
  let sum = 0
  for (const logit of logits) sum += Math.exp(logit - largest)
  const logSum = largest + Math.log(sum)
  const logprob = (id: number) => (logits[id] as number) - logSum
  return { logprob: logprob(token), top: best(logits, count).map((id) => ({ token: id, logprob: logprob(id) })) }
}

/** The ids of the `count` largest. Almost every logit is refused by one comparison: a vocabulary is never sorted. */
function best(logits: Float32Array, count: number): number[] {
  const ids: number[] = []
  const at = (place: number) => logits[ids[place] as number] as number
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id] as number
    if (ids.length >= count && !(count > 0 && logit > at(count - 1))) continue
    let place = ids.length
    while (place > 0 && logit > at(place - 1)) place--
    ids.splice(place, 0, id)
    ids.length = Math.min(ids.length, count)
  }
  return ids
}
