import { SkipstoneError } from '../errors.js'
import { type Analysis, analyse } from './analysis.js'
import type { Expression } from './expression.js'
import { ACCEPT, compile, OP, type Program, START } from './program.js'

/**
 * Where rules that are open return to. Several callers of a rule share one, so ambiguity costs places and not stacks:
 * texts with exponentially many readings are read in polynomial space (Earley's idea, with sets that never change).
 */
interface Callers {
  readonly id: number
  readonly frames: readonly Frame[]
}

/** A place, and the callers of the rule that it is in. */
interface Frame {
  readonly place: number
  readonly callers: Callers
}

/** What was read so far, in all its readings. Immutable for its users; keep it, copy it, go on from it as often as you like. */
export interface State {
  /** Frames whose place takes a byte. */
  readonly frames: readonly Frame[]
  /** Whether the text may end here. */
  readonly accepts: boolean
  /** What follows, by class of the next byte; undefined where nobody asked yet. */
  next: (State | undefined)[]
}

/** What can be reached from a place without a byte. */
interface Reach {
  readonly bytes: readonly number[]
  /** Places of calls. */
  readonly calls: readonly number[]
  readonly ends: boolean
  readonly accepts: boolean
}

/** Frames in one state. Grammars that people write have tens. */
const MAX_FRAMES = 1 << 13
/** States and what they are made of are remembered up to this many parts in all, then forgotten together. */
const MAX_REMEMBERED = 1 << 19
/** Ids of callers are made unique keys with places, of which there are fewer than this. */
const PLACES = 2 ** 19

const NOBODY: Callers = { id: 0, frames: [] }

/** Every place is numbered lower than `PLACES`, and ids stay far below 2 ** 34, so keys are exact. */
const keyOf = (frame: Frame) => frame.callers.id * PLACES + frame.place

class FrameSet {
  readonly #frames = new Map<number, Frame>()

  add(place: number, callers: Callers): void {
    const frame = { place, callers }
    const key = keyOf(frame)
    if (this.#frames.has(key)) return
    if (this.#frames.size >= MAX_FRAMES)
      throw new SkipstoneError(
        'unsupported',
        'The grammar is too ambiguous: too many readings of one text; simplify it.',
      )
    this.#frames.set(key, frame)
  }

  get size(): number {
    return this.#frames.size
  }

  /** Also gives what is added meanwhile. */
  [Symbol.iterator](): Iterator<Frame> {
    return this.#frames.values()
  }

  /** Equal sets have equal keys. */
  key(): string {
    const keys = [...this.#frames.keys()]
    return keys.length === 1 ? String(keys[0]) : keys.sort((a, b) => a - b).join()
  }
}

/**
 * A set of texts, read byte by byte (UTF-8). One grammar may serve any number of constraints. What it finds out about its
 * states is remembered within a bound.
 */
export class Grammar {
  /** The class of every byte; bytes of one class are never told apart. */
  readonly classOf: Uint8Array
  readonly start: State
  /** What follows where nothing can follow. */
  readonly dead: State
  readonly #program: Program
  readonly #analysis: Analysis
  /** A byte of every class. */
  readonly #byteOf: number[] = []
  readonly #reach = new Map<number, Reach>()
  #states = new Map<string, State>()
  #callers = new Map<string, Callers>()
  #lastCallers = 0
  #remembered = 0
  #work = 0

  /**
   * @param rules by name; `root` is where texts start.
   * @throws SkipstoneError `bad-option` for a missing rule, or where no text matches; `unsupported` for left recursion and
   *   for a grammar that is too large.
   */
  static of(rules: ReadonlyMap<string, Expression>, root: string): Grammar {
    const program = compile(rules, root)
    const analysis = analyse(program, new Uint8Array(256).fill(1))
    if (analysis) return new Grammar(program, analysis)
    throw new SkipstoneError(
      'bad-option',
      'No text matches this grammar: every way through it contradicts itself or never ends.',
    )
  }

  private constructor(program: Program, analysis: Analysis) {
    this.#program = program
    this.#analysis = analysis
    this.classOf = this.#classes()
    this.dead = this.#state([], false)
    const first = new FrameSet()
    first.add(START, NOBODY)
    this.start = this.#close(first)
  }

  /**
   * The texts that can be written in certain bytes: what would need others is a dead end from the start.
   * @param writable by byte: 1 where it can be written.
   * @throws SkipstoneError `unsupported` where there are none.
   */
  within(writable: Uint8Array): Grammar {
    const analysis = analyse(this.#program, writable)
    if (analysis) return new Grammar(this.#program, analysis)
    throw new SkipstoneError(
      'unsupported',
      'This model cannot write what the grammar asks for: its vocabulary lacks the characters. Use another grammar or model.',
    )
  }

  /** The state after a byte: `dead` where no text goes on with it. */
  read(state: State, byte: number): State {
    const kind = this.classOf[byte]!
    return state.next[kind] ?? this.step(state, kind)
  }

  /**
   * The same by class of bytes, computed and remembered. Hot loops look at `state.next` before they come here.
   * @throws SkipstoneError `unsupported` where the text has too many readings.
   */
  step(state: State, kind: number): State {
    const { x, y, next } = this.#program
    const byte = this.#byteOf[kind]!
    const kernel = new FrameSet()
    for (const { place, callers } of state.frames)
      if (x[place]! <= byte && byte <= y[place]!) kernel.add(next[place]!, callers)
    const after = kernel.size === 0 ? this.dead : this.#interned(kernel)
    state.next[kind] = after
    this.#work += state.frames.length
    return after
  }

  /** How much work was done so far, in frames that were looked at. */
  get work(): number {
    return this.#work
  }

  #classes(): Uint8Array {
    const { op, x, y } = this.#program
    const begins = new Uint8Array(257)
    op.forEach((kind, place) => {
      if (kind === OP.byte) begins[x[place]!] = begins[y[place]! + 1] = 1
    })
    return Uint8Array.from({ length: 256 }, (_, byte) => {
      if (byte === 0 || begins[byte]) this.#byteOf.push(byte)
      return this.#byteOf.length - 1
    })
  }

  #state(frames: readonly Frame[], accepts: boolean): State {
    return { frames, accepts, next: new Array<State | undefined>(this.#byteOf.length).fill(undefined) }
  }

  #interned(kernel: FrameSet): State {
    const key = kernel.key()
    const known = this.#states.get(key)
    if (known) return known
    if (this.#remembered > MAX_REMEMBERED) this.#forget()
    const state = this.#close(kernel)
    this.#states.set(key, state)
    this.#remembered += state.frames.length + state.next.length
    return state
  }

  /** States hold each other by `next`; cutting that lets those go that nobody else holds. Ids go on, so none is used twice. */
  #forget(): void {
    for (const state of [this.start, ...this.#states.values()]) state.next = this.#state([], false).next
    this.#states = new Map()
    this.#callers = new Map()
    this.#reach.clear()
    this.#remembered = 0
  }

  /** The state of frames that have just taken a byte: rules that end return, rules that begin are entered. */
  #close(kernel: FrameSet): State {
    const { x, next } = this.#program
    const { ranks } = this.#analysis
    const frames = new FrameSet()
    const entered = new Map<number, FrameSet>()
    let accepts = false

    const go = (place: number, callers: Callers): Reach => {
      const reach = this.#reached(place)
      accepts ||= reach.accepts
      for (const byte of reach.bytes) frames.add(byte, callers)
      for (const call of reach.calls) {
        const rule = x[call]!
        const from = entered.get(rule) ?? new FrameSet()
        entered.set(rule, from)
        // Where the caller has nothing left to do, its own callers are returned to: right recursion needs no stack.
        if (this.#program.op[next[call]!] === OP.end)
          for (const frame of callers.frames) from.add(frame.place, frame.callers)
        else from.add(next[call]!, callers)
      }
      return reach
    }
    // The set grows while it is walked.
    for (const { place, callers } of kernel)
      if (go(place, callers).ends) for (const frame of callers.frames) kernel.add(frame.place, frame.callers)

    // Callers first, so that a rule is entered once, when all that call it are known. That a rule ends without a byte is no
    // matter here: whoever called it went past it as well.
    while (entered.size > 0) {
      let rule = -1
      for (const candidate of entered.keys()) if (rule < 0 || ranks[candidate]! < ranks[rule]!) rule = candidate
      const from = entered.get(rule)!
      entered.delete(rule)
      go(this.#program.starts[rule]!, this.#sharedCallers(from))
    }
    this.#work += frames.size + kernel.size
    return this.#state([...frames], accepts)
  }

  #sharedCallers(set: FrameSet): Callers {
    const key = set.key()
    const known = this.#callers.get(key)
    if (known) return known
    const callers = { id: ++this.#lastCallers, frames: [...set] }
    this.#callers.set(key, callers)
    this.#remembered += callers.frames.length
    return callers
  }

  #reached(place: number): Reach {
    const known = this.#reach.get(place)
    if (known) return known
    const { op, x, y, next, starts } = this.#program
    const { useful, nullable } = this.#analysis
    const reach = { bytes: [] as number[], calls: [] as number[], ends: false, accepts: false }
    const seen = new Set<number>()
    const work = [place]
    for (let at = work.pop(); at !== undefined; at = work.pop()) {
      if (!useful[at] || seen.has(at)) continue
      seen.add(at)
      if (op[at] === OP.byte) reach.bytes.push(at)
      else if (op[at] === OP.split) work.push(x[at]!, y[at]!)
      else if (op[at] === OP.end) reach.ends = true
      else if (at === ACCEPT) reach.accepts = true
      else {
        reach.calls.push(at)
        if (nullable[starts[x[at]!]!]) work.push(next[at]!)
      }
    }
    this.#reach.set(place, reach)
    this.#remembered += reach.bytes.length + reach.calls.length
    return reach
  }
}
