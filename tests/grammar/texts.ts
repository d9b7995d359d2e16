import type { Grammar, State } from '../../src/grammar/grammar.js'
import type { Vocabulary } from '../../src/grammar/vocabulary.js'

const encoder = new TextEncoder()

export function read(grammar: Grammar, text: string | Uint8Array, from: State = grammar.start): State {
  const bytes = typeof text === 'string' ? encoder.encode(text) : text
  return bytes.reduce<State>((state, byte) => grammar.read(state, byte), from)
}

/** Whether the whole text matches. */
export function matches(grammar: Grammar, text: string | Uint8Array): boolean {
  return read(grammar, text).accepts
}

/** A vocabulary of these texts, then all single bytes, then a stop token that has bytes of its own, which must not count. */
export function vocabularyOf(
  texts: readonly (string | Uint8Array | undefined)[],
): Vocabulary & { readonly stopIds: [number] } {
  const tokens = [
    ...texts.map((text) => (typeof text === 'string' ? encoder.encode(text) : text)),
    ...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
    encoder.encode('"'),
  ]
  return { size: tokens.length, bytes: (id) => tokens[id], stopIds: [tokens.length - 1] }
}

export function bitOf(mask: Uint32Array, id: number): boolean {
  return ((mask[id >> 5]! >>> (id & 31)) & 1) === 1
}

export function allowed(mask: Uint32Array, size: number): number[] {
  return Array.from({ length: size }, (_, id) => id).filter((id) => bitOf(mask, id))
}

/** The mask as its definition says: every token's bytes on their own. */
export function bruteForceMask(grammar: Grammar, state: State, { size, bytes, stopIds }: Vocabulary): number[] {
  return Array.from({ length: size }, (_, id) => id).filter((id) => {
    if (stopIds.includes(id)) return state.accepts
    const content = bytes(id)
    return content !== undefined && content.length > 0 && read(grammar, content, state) !== grammar.dead
  })
}
