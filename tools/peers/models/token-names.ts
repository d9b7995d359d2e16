/*
 * A vocabulary that needs no tokenizer: every token is written as its number and a comma, so that a text says which ids it consists of. The
 * peer that tells only text is then compared by ids.
 */

export function tokenNames(vocabSize: number): string[] {
  return Array.from({ length: vocabSize }, (_, id) => `${id},`)
}

/** The ids that such a text was made of. */
export function idsOfText(text: string): number[] {
  return [...text.matchAll(/(\d+),/g)].map(([, id]) => Number(id))
}
