import type { Model } from '../src/index.js'

export type Tokenizer = Awaited<ReturnType<Model['text']['tokenizer']>>

/** How many tokens before one may change how it is written: a space in front, the first bytes of a character. */
const CONTEXT = 8

/** Each token's own part of the text that the tokens make together; '' where a character ends in a later token. */
export function ownTexts(tokenizer: Tokenizer, before: readonly number[], ids: readonly number[]): string[] {
  const plain = (id: number) => !tokenizer.specialIds.has(id)
  let window = before.filter(plain).slice(-CONTEXT)
  return ids.map((id) => {
    if (!plain(id)) return ''
    const known = whole(tokenizer.decode(window))
    const text = whole(tokenizer.decode([...window, id]))
    window = [...window, id].slice(-CONTEXT)
    return text.slice(known.length)
  })
}

/** A special token as it is spelled, such as `<s>`; undefined for all others. */
export function specialText(tokenizer: Tokenizer, id: number): string | undefined {
  return tokenizer.specialIds.has(id) ? tokenizer.decode([id], { skipSpecialTokens: false }) : undefined
}

/** Without a character whose bytes are not complete. */
function whole(text: string): string {
  return text.replace(/\uFFFD+$/, '')
}
