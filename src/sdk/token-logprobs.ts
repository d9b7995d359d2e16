import { SkipstoneError } from '../errors.js'
import { MAX_LOGPROBS, type TokenLogprobs as Probabilities } from '../runtime/logprobs.js'
import type { TextTokenizer } from '../text/tokenizer.js'
import type { TokenLogprob, TokenLogprobs } from './options.js'

/** @throws `bad-option` for what is no number of tokens to tell of. */
export function checkLogprobs(wanted: Readonly<Record<string, number | undefined>>): void {
  for (const [name, count] of Object.entries(wanted)) {
    if (count === undefined || (Number.isInteger(count) && count >= 0 && count <= MAX_LOGPROBS)) continue
    throw new SkipstoneError(
      'bad-option',
      `${name} must be a whole number from 0 to ${MAX_LOGPROBS}, not ${String(count)}.`,
    )
  }
}

/** Adds the texts; without a tokenizer they are empty. */
export function withTexts(
  tokenizer: TextTokenizer | undefined,
  token: number,
  { logprob, top }: Probabilities,
): TokenLogprobs {
  const described = (one: { token: number; logprob: number }): TokenLogprob => ({
    ...one,
    ...textOf(tokenizer, one.token),
  })
  return { ...described({ token, logprob }), top: top.map(described) }
}

function textOf(tokenizer: TextTokenizer | undefined, id: number): { text: string; bytes?: Uint8Array } {
  if (!tokenizer) return { text: '' }
  const bytes = tokenizer.specialIds.has(id) ? undefined : bytesOf(tokenizer, id)
  // The decoder would take a space off the start, and bytes keep it.
  if (bytes) return { text: new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes), bytes }
  return { text: tokenizer.decode([id], { skipSpecialTokens: false }) }
}

function bytesOf(tokenizer: TextTokenizer, id: number): Uint8Array | undefined {
  try {
    return tokenizer.tokenBytes(id)
  } catch {
    // Of a tokenizer whose tokens have no bytes of their own.
    return undefined
  }
}
