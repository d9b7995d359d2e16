import { SkipstoneError } from '../errors.js'
import type { Grammar, State } from './grammar.js'
import { PLAIN_BYTES } from './vocabulary-trie.js'

/** Entries of the table. States have the numbers from `START` on. */
export const UNKNOWN = 0
export const DEAD = 1
export const START = 2

/** Frames that one walk may look at: about a second. Grammars that people write need thousands. */
const MAX_WORK = 4e6
/** 16 MiB. */
const MAX_ENTRIES = 1 << 22

/**
 * The states of one walk through a vocabulary, by number: what follows state `s` on a byte of class `k` is
 * `table[s * kinds + k]`. A walk looks there hundreds of thousands of times, and numbers in one array are far cheaper to
 * follow than states that point to each other.
 */
export class WalkStates {
  readonly kinds: number
  /** Replaced as it grows. */
  table: Int32Array
  /** By state: whether it stays as it is on every plain byte, as inside a string. */
  readonly loops: boolean[]
  readonly #grammar: Grammar
  readonly #states: State[]
  readonly #numberOf: Map<State, number>
  readonly #maxWork: number

  constructor(grammar: Grammar, start: State) {
    this.#grammar = grammar
    this.kinds = start.next.length
    this.table = new Int32Array(64 * this.kinds)
    this.#states = [grammar.dead, grammar.dead, start]
    this.#numberOf = new Map([
      [grammar.dead, DEAD],
      [start, START],
    ])
    this.loops = [false, false, this.#loops(start)]
    this.#maxWork = grammar.work + MAX_WORK
  }

  /**
   * Fills in what follows a state.
   * @throws SkipstoneError `unsupported` where that has become too much work.
   */
  follow(from: number, kind: number): number {
    const before = this.#states[from]!
    const after = before.next[kind] ?? this.#grammar.step(before, kind)
    let number = this.#numberOf.get(after)
    if (number === undefined) {
      number = this.#states.push(after) - 1
      this.#numberOf.set(after, number)
      this.loops.push(this.#loops(after))
      this.#makeRoom((number + 1) * this.kinds)
    }
    this.table[from * this.kinds + kind] = number
    return number
  }

  #loops(state: State): boolean {
    return PLAIN_BYTES.every((byte) => this.#grammar.read(state, byte) === state)
  }

  #makeRoom(entries: number): void {
    if (this.#grammar.work > this.#maxWork || entries > MAX_ENTRIES)
      throw new SkipstoneError('unsupported', 'The grammar is too ambiguous to follow in reasonable time; simplify it.')
    if (entries <= this.table.length) return
    const table = new Int32Array(2 * this.table.length)
    table.set(this.table)
    this.table = table
  }
}
