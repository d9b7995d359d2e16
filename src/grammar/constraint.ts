import { SkipstoneError } from '../errors.js'
import type { Grammar, State } from './grammar.js'
import type { Vocabulary } from './vocabulary.js'
import { type VocabularyTrie, vocabularyTrie } from './vocabulary-trie.js'
import { DEAD, START, UNKNOWN, WalkStates } from './walk-states.js'

/** What a generation may emit next. */
export interface TokenConstraint {
  /**
   * The tokens that may come next: bit `i & 31` of word `i >> 5`, ceil(size / 32) words. Stop tokens are in it where the
   * text may end, and alone where it must.
   * @throws SkipstoneError `unsupported` where no token of the vocabulary goes on with the text (it has the bytes that are
   *   asked for, but in other tokens only), and where the grammar is too ambiguous to follow.
   */
  mask(): Uint32Array<ArrayBuffer>
  /**
   * Goes on by one token.
   * @throws SkipstoneError `bad-option` for a token that is not in the mask; the constraint stays as it was.
   */
  accept(token: number): void
}

/** Masks that are kept for a grammar and a vocabulary; at 128k tokens one has 16 KiB. */
const MAX_MASKS = 256
/** All constraints of one grammar over one vocabulary share their masks. */
class Masks {
  /** Without what the vocabulary cannot write. */
  readonly grammar: Grammar
  readonly #vocabulary: Vocabulary
  readonly #trie: VocabularyTrie
  /** The oldest first. */
  readonly #masks = new Map<State, Uint32Array>()

  constructor(grammar: Grammar, vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary
    this.#trie = vocabularyTrie(vocabulary)
    const writable = new Uint8Array(256)
    for (const byte of this.#trie.byte) writable[byte] = 1
    this.grammar = writable.includes(0) ? grammar.within(writable) : grammar
  }

  of(state: State): Uint32Array {
    const known = this.#masks.get(state)
    if (known) return known
    const mask = this.#compute(state)
    const oldest = this.#masks.size >= MAX_MASKS ? this.#masks.keys().next().value : undefined
    if (oldest) this.#masks.delete(oldest)
    this.#masks.set(state, mask)
    return mask
  }

  #compute(state: State): Uint32Array {
    const { size, stopIds } = this.#vocabulary
    const mask = new Uint32Array(Math.ceil(size / 32))
    const any = state.frames.length > 0 && this.#mark(state, mask)
    if (!any && !state.accepts)
      throw new SkipstoneError(
        'unsupported',
        'No token of this model goes on with the text that the grammar asks for; use a grammar over characters that its vocabulary has.',
      )
    if (state.accepts) for (const id of stopIds) mask[id >> 5]! |= 1 << (id & 31)
    return mask
  }

  /** Walks the trie with the state of every node's text; what cannot begin so is skipped with all that is below. */
  #mark(state: State, mask: Uint32Array): boolean {
    const { classOf } = this.grammar
    const { byte, depth, skip, first, tokens, plainBelow, maxDepth } = this.#trie
    const steps = new WalkStates(this.grammar, state)
    const { kinds, loops } = steps
    /** By depth: the state of the text up to there. */
    const path = new Int32Array(maxDepth + 1).fill(START)
    let table = steps.table
    let any = false
    for (let node = 0; node < byte.length; ) {
      const level = depth[node]!
      const from = path[level - 1]!
      const kind = classOf[byte[node]!]!
      let after = table[from * kinds + kind]!
      if (after === UNKNOWN) {
        after = steps.follow(from, kind)
        table = steps.table
      }
      if (after === DEAD) {
        node = skip[node]!
        continue
      }
      path[level] = after
      // Where the state stays the same whatever comes, all tokens below fit, and are next to each other.
      const next = plainBelow[node]! && loops[after] ? skip[node]! : node + 1
      const end = first[next]!
      for (let at = first[node]!; at < end; at++) {
        const token = tokens[at]!
        mask[token >> 5]! |= 1 << (token & 31)
        any = true
      }
      node = next
    }
    return any
  }
}

const shared = new WeakMap<Vocabulary, WeakMap<Grammar, Masks>>()

function masksOf(grammar: Grammar, vocabulary: Vocabulary): Masks {
  const byGrammar = shared.get(vocabulary) ?? new WeakMap<Grammar, Masks>()
  shared.set(vocabulary, byGrammar)
  const masks = byGrammar.get(grammar) ?? new Masks(grammar, vocabulary)
  byGrammar.set(grammar, masks)
  return masks
}

/**
 * A constraint for one text, at its start. Pass the same `grammar` and `vocabulary` objects again for further texts: what
 * was found out about them is kept with them.
 *
 * After a stop token only stop tokens are allowed.
 * @throws SkipstoneError `bad-option` for stop tokens outside the vocabulary, and for none; `unsupported` where the
 *   vocabulary lacks bytes without which no text of the grammar can be written.
 */
export function createConstraint(grammar: Grammar, vocabulary: Vocabulary): TokenConstraint {
  const { size, stopIds } = vocabulary
  if (stopIds.length === 0 || !stopIds.every((id) => Number.isInteger(id) && id >= 0 && id < size))
    throw new SkipstoneError(
      'bad-option',
      `Stop tokens must be ids below ${size}, at least one, so that a text can end.`,
    )
  const masks = masksOf(grammar, vocabulary)
  const stops = new Set(stopIds)
  const { grammar: writable } = masks
  let state = writable.start
  let ended = false

  const after = (token: number): State => {
    const bytes = token >= 0 && token < size && Number.isInteger(token) ? vocabulary.bytes(token) : undefined
    return bytes && bytes.length > 0 && !ended
      ? bytes.reduce<State>((at, byte) => writable.read(at, byte), state)
      : writable.dead
  }
  return {
    mask: () => {
      if (!ended) return masks.of(state).slice()
      const mask = new Uint32Array(Math.ceil(size / 32))
      for (const id of stops) mask[id >> 5]! |= 1 << (id & 31)
      return mask
    },
    accept: (token) => {
      if (stops.has(token) && (ended || state.accepts)) {
        ended = true
        return
      }
      const next = stops.has(token) ? writable.dead : after(token)
      if (next === writable.dead)
        throw new SkipstoneError('bad-option', `Token ${token} is not allowed here; choose one that is in the mask.`)
      state = next
    },
  }
}
