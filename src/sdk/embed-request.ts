import { SkipstoneError } from '../errors.js'
import type { Pooling } from '../study/embed.js'
import type { PolicyRequest } from './policies.js'
import type { ModelText } from './text-api.js'

/** What can be embedded: a text, or the ids of one. */
export type Embeddable = string | readonly number[]

/** One input, or several. */
export type EmbedInput = Embeddable | readonly Embeddable[]

export interface EmbedOptions {
  /** The state of a text's last token, or the mean of all. Default `last`. */
  pooling?: Pooling
  /** Scale vectors to length 1, so that their dot product is their cosine. Default true. */
  normalise?: boolean
  /** What to skip. Default: nothing. */
  policy?: PolicyRequest | string
  signal?: AbortSignal
  /** Texts done and to do. */
  onProgress?: (done: number, all: number) => void
}

/** The ids of every text; whether they were one alone is for the caller to know. @throws `bad-option`, `context-full`. */
export async function idsOf(input: EmbedInput, text: ModelText, contextLength: number): Promise<number[][]> {
  const texts = isOne(input) ? [input] : input
  if (texts.length === 0)
    throw new SkipstoneError('bad-option', 'There is nothing to embed: give a text, or token ids.')
  return Promise.all(
    texts.map(async (one) => {
      const ids = typeof one === 'string' ? await text.encode(one) : [...one]
      if (ids.length === 0) throw new SkipstoneError('bad-option', 'An empty text has no embedding: leave it out.')
      if (ids.length > contextLength) {
        throw new SkipstoneError(
          'context-full',
          `A text to embed has ${ids.length} tokens, but the context holds ${contextLength}: cut it into parts.`,
        )
      }
      return ids
    }),
  )
}

/** Whether the answer is one vector, not a list. */
export function isOne(input: EmbedInput): input is Embeddable {
  return typeof input === 'string' || (input.length > 0 && typeof input[0] === 'number')
}
