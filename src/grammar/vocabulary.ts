import type { TextTokenizer } from '../text/tokenizer.js'

/** The tokens that a model may emit, as bytes of the text that they make. */
export interface Vocabulary {
  /** How many scores the model gives: a mask has a bit for each. */
  readonly size: number
  /** The bytes of a token, undefined for one that is no text and never allowed. Must not change. */
  bytes(id: number): Uint8Array | undefined
  /** Tokens that end the text. They are no text, whatever `bytes` says. */
  readonly stopIds: readonly number[]
}

/**
 * The vocabulary of a tokenizer. Make it once for a model and keep it: what constraints find out is kept with it.
 *
 * Tokens count as in the middle of a text: `▁{` is a space and a brace, also as the first token. So a text never begins with
 * a space that its grammar does not have, and begins with one where it has. Decode it as the continuation of its prompt
 * (`StreamDecoder` with `context`): `decode` on its own takes a space off the start.
 *
 * @param size how many scores the model gives; models pad their output layer, and padding is never allowed.
 */
export function tokenizerVocabulary(
  tokenizer: TextTokenizer,
  stopIds: readonly number[],
  size: number = tokenizer.vocabSize,
): Vocabulary {
  return { size, stopIds, bytes: (id) => tokenizer.tokenBytes(id) }
}
