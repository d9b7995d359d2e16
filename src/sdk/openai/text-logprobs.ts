import type { PromptStep, TokenLogprob, TokenLogprobs } from '../options.js'
import type { ModelText } from '../text-api.js'
import type { TextLogprobs } from './types.js'

/** What is told of one token. */
export interface TextEntry {
  readonly token: string
  /** Null where nothing comes before it. */
  readonly logprob: number | null
  readonly top: Readonly<Record<string, number>> | null
  /** Where it begins in the text of the answer. */
  readonly offset: number
}

/** The entries of an answer's tokens, in order. */
export class TextEntries {
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  #length = 0

  /** Of a prompt that `echo` repeats; `text` is how it reads. Special tokens that it does not spell take no room in it. */
  async ofPrompt({ tokens, logprobs }: PromptStep, text: string, model: ModelText): Promise<TextEntry[]> {
    if (!logprobs) return []
    const pieces = await model.pieces(tokens)
    const offsets: number[] = []
    let at = 0
    for (const piece of pieces) {
      offsets.push(Math.min(at, text.length))
      if (!piece.special || text.startsWith(piece.text, at)) at += piece.text.length
    }
    this.#length = text.length
    return logprobs.map((one, i) => {
      const offset = offsets[i] as number
      return one ? entry(one, offset) : { token: pieces[i]?.text ?? '', logprob: null, top: null, offset }
    })
  }

  /** Of the next token. */
  readonly next = (logprobs: TokenLogprobs): TextEntry => {
    const offset = this.#length
    if (logprobs.bytes) this.#length += this.#decoder.decode(logprobs.bytes, { stream: true }).length
    return entry(logprobs, offset)
  }
}

export function textLogprobs(entries: readonly TextEntry[]): TextLogprobs {
  return {
    tokens: entries.map(({ token }) => token),
    token_logprobs: entries.map(({ logprob }) => logprob),
    top_logprobs: entries.map(({ top }) => top),
    text_offset: entries.map(({ offset }) => offset),
  }
}

function entry(token: TokenLogprobs, offset: number): TextEntry {
  // The token itself is told of even where others are more probable, and of two that read alike the more probable one.
  const all = [token, ...token.top.toReversed()].map((one) => [spelled(one), one.logprob] as const)
  return { token: spelled(token), logprob: token.logprob, top: Object.fromEntries(all), offset }
}

/** As OpenAI spells tokens: those that hold a part of a character by their bytes. */
function spelled({ text, bytes }: TokenLogprob): string {
  if (!bytes || !text.includes('\uFFFD')) return text
  return `bytes:${Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`
}
