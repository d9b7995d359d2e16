/*
 * A vocabulary that needs no merges: every token is one character of a plane of its own, so that text and ids are the same thing. One of the
 * peers takes and gives only text; so every tokenizer finds a prompt's ids at once, and an answer is compared by ids.
 */

const FIRST = 0x20000

export function tokenNames(vocabSize: number): string[] {
  return Array.from({ length: vocabSize }, (_, id) => textOfIds([id]))
}

export function textOfIds(ids: readonly number[]): string {
  return ids.map((id) => String.fromCodePoint(FIRST + id)).join('')
}

/** The ids that such a text consists of. */
export function idsOfText(text: string): number[] {
  return [...text].map((character) => character.codePointAt(0)! - FIRST)
}
