import type { TextTokenizer } from './tokenizer.js'

/** A token as it is shown to people. */
export interface TokenPiece {
  /** Its own part of the text; '' where a character ends in a later token. A special token as it is spelled, such as `<s>`. */
  readonly text: string
  readonly special: boolean
}

/** How many tokens before one may change how it is written: a space in front, the first bytes of a character. */
const CONTEXT = 8

/** Each token's own part of the text that the tokens make together. */
export function tokenPieces(
  tokenizer: TextTokenizer,
  ids: readonly number[],
  before: readonly number[] = [],
): TokenPiece[] {
  const isSpecial = (id: number) => tokenizer.specialIds.has(id)
  let window = before.filter((id) => !isSpecial(id)).slice(-CONTEXT)
  return ids.map((id) => {
    if (isSpecial(id)) return { text: tokenizer.decode([id], { skipSpecialTokens: false }), special: true }
    const known = whole(tokenizer.decode(window))
    const text = whole(tokenizer.decode([...window, id]))
    window = [...window, id].slice(-CONTEXT)
    return { text: text.slice(known.length), special: false }
  })
}

/** Without a character whose bytes are not complete. */
function whole(text: string): string {
  return text.replace(/\uFFFD+$/, '')
}
