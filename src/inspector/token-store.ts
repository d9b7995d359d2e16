import { SkipstoneError } from '../errors.js'
import type { Step } from '../index.js'
import { GrowingArray } from './growing-array.js'

export type Origin = 'prompt' | 'generated'
export type Kind = 'attention' | 'mlp'

/** A token's own part of the text; undefined where only its id is known. */
export interface Piece {
  readonly text: string | undefined
  readonly special: boolean
}

/** A token as it is shown. */
export interface ShownToken extends Piece {
  readonly position: number
  readonly id: number
  readonly origin: Origin | undefined
  /** Whether its decisions are known: those of the last token are not until it is fed. */
  readonly ran: boolean
  readonly hasMargins: boolean
}

const NO_PIECE: Piece = { text: undefined, special: false }
const ORIGINS: readonly (Origin | undefined)[] = [undefined, 'prompt', 'generated']
const RAN = 1
const WITH_MARGINS = 2

/**
 * The tokens of a text and what each of them ran, by position from 0. The last token has no decisions until
 * it is fed, and a session does not report those of a token that a stop token followed. Totals are kept up to date with every change,
 * so that reading them costs nothing while tokens arrive.
 */
export class TokenStore {
  readonly sublayers: number
  readonly words: number
  readonly #ids = new GrowingArray(Uint32Array)
  readonly #origins = new GrowingArray(Uint8Array)
  readonly #state = new GrowingArray(Uint8Array)
  readonly #bits: GrowingArray<Uint32Array>
  readonly #pieces: Piece[] = []
  #margins: GrowingArray<Float32Array> | undefined
  #length = 0
  #runCount = 0
  #promptEnd = 0
  #marginSum = 0
  #marginCount = 0
  readonly #skipped: Float64Array

  /** @throws `bad-option` for a number of layers that no model has. */
  constructor(
    readonly layers: number,
    readonly title = '',
  ) {
    if (!Number.isInteger(layers) || layers < 1 || layers > 1024) {
      throw new SkipstoneError('bad-option', `layers must be a whole number from 1 to 1024, not ${String(layers)}.`)
    }
    this.sublayers = 2 * layers
    this.words = Math.ceil(this.sublayers / 32)
    this.#bits = new GrowingArray(Uint32Array, 256 * this.words)
    this.#skipped = new Float64Array(this.sublayers)
  }

  /** Tokens known, run or not. */
  get length(): number {
    return this.#length
  }

  /** Positions whose decisions are known. */
  get runCount(): number {
    return this.#runCount
  }

  /** Length of the text up to the last token whose decisions are known. */
  get ranLength(): number {
    let length = this.#length
    while (length > 0 && !this.hasRun(length - 1)) length--
    return length
  }

  get hasMargins(): boolean {
    return this.#marginCount > 0
  }

  /** Mean distance of a score to its threshold; 0 where none was traced. */
  get meanMargin(): number {
    return this.#marginCount === 0 ? 0 : this.#marginSum / this.#marginCount
  }

  token(position: number): ShownToken {
    const state = this.#state.get(position)
    return {
      ...(this.#pieces[position] ?? NO_PIECE),
      position,
      id: this.#ids.get(position),
      origin: ORIGINS[this.#origins.get(position)],
      ran: (state & RAN) !== 0,
      hasMargins: (state & WITH_MARGINS) !== 0,
    }
  }

  hasRun(position: number): boolean {
    return (this.#state.get(position) & RAN) !== 0
  }

  /** Whether a sublayer executed; meaningful only where the position was run. */
  executed(position: number, sublayer: number): boolean {
    return ((this.#bits.get(position * this.words + (sublayer >> 5)) >>> (sublayer & 31)) & 1) === 1
  }

  /** Signed distance to the threshold; undefined where it was not traced. */
  margin(position: number, sublayer: number): number | undefined {
    if ((this.#state.get(position) & WITH_MARGINS) === 0) return undefined
    return this.#margins?.get(position * this.sublayers + sublayer)
  }

  /** One character per layer, 1 = executed. */
  pattern(position: number, kind: Kind): string {
    const offset = kind === 'attention' ? 0 : 1
    let text = ''
    for (let s = offset; s < this.sublayers; s += 2) text += this.executed(position, s) ? '1' : '0'
    return text
  }

  /** Sublayers that this position ran, of one kind or of both. */
  countRan(position: number, kind?: Kind): number {
    const mask = kind === undefined ? 0xffffffff : kind === 'attention' ? 0x55555555 : 0xaaaaaaaa
    let count = 0
    for (let word = 0; word < this.words; word++) count += onesIn(this.#bits.get(position * this.words + word) & mask)
    return count
  }

  /** Positions that skipped this sublayer. */
  skippedAt(sublayer: number): number {
    return this.#skipped[sublayer] ?? 0
  }

  /**
   * Takes in a step of a session. `pieces` are those of a prompt's tokens, or the one of a generated token. Returns the first
   * position that changed.
   * @throws `bad-option` for a step of another model, or one that does not follow what is shown.
   */
  push(step: Step, pieces: readonly Piece[] = []): number {
    if (step.kind === 'prompt') return this.#pushPrompt(step, pieces)
    if (step.kind === 'token') {
      const piece = pieces[0] ?? { text: step.text, special: false }
      this.#checkStart(step.position + 1)
      this.#decide(step.position, step.executed, step.margins)
      this.place(step.position + 1, step.token, 'generated', piece)
      this.rewind(step.position + 2)
      return step.position
    }
    const changed = this.#length - 1
    this.rewind(this.#promptEnd + step.tokens.length)
    this.#addText(step.text)
    return Math.max(0, Math.min(changed, this.#length - 1))
  }

  /** Puts a token at a position that exists, or behind the last; it has not run yet. The same token again keeps its text and origin. */
  place(position: number, id: number, origin: Origin | undefined, piece: Piece = NO_PIECE): void {
    const known = position < this.#length && this.#ids.get(position) === id
    this.#undecide(position)
    if (!known || piece.text !== undefined) this.#pieces[position] = piece
    if (!known) this.#origins.set(position, ORIGINS.indexOf(origin))
    this.#ids.set(position, id)
    this.#length = Math.max(this.#length, position + 1)
  }

  /** Notes what a position ran: 2L bits, and 2L margins where traced. */
  decide(position: number, bits: ArrayLike<number>, margins?: ArrayLike<number>): void {
    this.#undecide(position)
    let state = RAN
    this.#bits.write(position * this.words, bits)
    if (margins) {
      this.#margins ??= new GrowingArray(Float32Array, 256 * this.sublayers)
      this.#margins.write(position * this.sublayers, margins)
      state |= WITH_MARGINS
    }
    this.#state.set(position, state)
    this.#count(position, 1)
  }

  /** Forgets positions from `length` on. */
  rewind(length: number): void {
    for (let position = length; position < this.#length; position++) this.#undecide(position)
    this.#length = Math.max(0, Math.min(this.#length, length))
    this.#pieces.length = this.#length
  }

  #pushPrompt(step: Extract<Step, { kind: 'prompt' }>, pieces: readonly Piece[]): number {
    const { tokens, position, executed, margins } = step
    this.#checkStart(position)
    const traced = margins !== undefined && margins.length > 0
    checkLength('executed', executed.length, tokens.length * this.words)
    if (traced) checkLength('margins', margins.length, tokens.length * this.sublayers)
    tokens.forEach((id, i) => {
      this.place(position + i, id, 'prompt', pieces[i])
      this.decide(
        position + i,
        executed.subarray(i * this.words, (i + 1) * this.words),
        traced ? margins.subarray(i * this.sublayers, (i + 1) * this.sublayers) : undefined,
      )
    })
    this.#promptEnd = position + tokens.length
    this.rewind(this.#promptEnd)
    return position
  }

  #decide(position: number, bits: Uint32Array, margins: Float32Array | undefined): void {
    const traced = margins !== undefined && margins.length > 0
    checkLength('executed', bits.length, this.words)
    if (traced) checkLength('margins', margins.length, this.sublayers)
    this.decide(position, bits, traced ? margins : undefined)
  }

  /** Text that was held back to the end belongs to the last token that was kept. */
  #addText(text: string): void {
    const last = this.#pieces.at(-1)
    if (text === '' || !last) return
    this.#pieces[this.#length - 1] = { text: (last.special ? '' : (last.text ?? '')) + text, special: false }
  }

  #undecide(position: number): void {
    if (!this.hasRun(position)) return
    this.#count(position, -1)
    this.#state.set(position, 0)
  }

  /** Adds a position to the totals, or takes it away. */
  #count(position: number, sign: 1 | -1): void {
    this.#runCount += sign
    for (let s = 0; s < this.sublayers; s++) {
      if (!this.executed(position, s)) this.#skipped[s] = this.skippedAt(s) + sign
      const margin = this.margin(position, s)
      if (margin === undefined) continue
      this.#marginSum += sign * Math.abs(margin)
      this.#marginCount += sign
    }
  }

  #checkStart(position: number): void {
    if (position <= this.#length) return
    throw new SkipstoneError(
      'bad-option',
      `The step is for position ${position}, but only ${this.#length} tokens are shown: show a session from its first step, and keep what is shown (watch(…, true)) when it goes on.`,
    )
  }
}

function onesIn(word: number): number {
  let rest = word - ((word >>> 1) & 0x55555555)
  rest = (rest & 0x33333333) + ((rest >>> 2) & 0x33333333)
  return Math.imul((rest + (rest >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}

function checkLength(name: string, length: number, expected: number): void {
  if (length === expected) return
  throw new SkipstoneError(
    'bad-option',
    `The step's ${name} holds ${length} words, but ${expected} are expected: give begin() or watch() the number of layers of the model that made it.`,
  )
}
