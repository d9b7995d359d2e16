import { SkipstoneError } from '../errors.js'
import type { Expression, Ranges } from './expression.js'
import { utf8Sequences } from './utf8.js'

/** What happens at a place of the program. */
export const OP = {
  /** Takes a byte from `x` to `y` and goes to `next`. */
  byte: 0,
  /** Runs the rule `x` and goes to `next`. */
  call: 1,
  /** Goes to `x` and to `y`. */
  split: 2,
  /** The end of a rule. */
  end: 3,
  /** The end of the text. */
  accept: 4,
} as const

/** Rules as places of one flat table; a place is its index. */
export interface Program {
  readonly op: readonly number[]
  readonly x: readonly number[]
  readonly y: readonly number[]
  readonly next: readonly number[]
  /** By rule: its first place. */
  readonly starts: readonly number[]
  /** By rule: what people call it. */
  readonly names: readonly string[]
}

export const ACCEPT = 0
/** Calls the root rule. */
export const START = 1

/** Repetition is written out, so a count costs places: {100000} of a rule still fits. */
const MAX_PLACES = 1 << 18
/** Anything longer, repeated more often than this, becomes a rule: then each repetition costs one call. */
const INLINE_COPIES = 3

/**
 * @throws SkipstoneError `bad-option` for a rule that is missing; `unsupported` for a grammar that is too large.
 */
export function compile(rules: ReadonlyMap<string, Expression>, root: string): Program {
  return new Compiler(rules).compile(root)
}

class Compiler {
  readonly #rules: ReadonlyMap<string, Expression>
  readonly #op: number[] = []
  readonly #x: number[] = []
  readonly #y: number[] = []
  readonly #next: number[] = []
  readonly #starts: number[] = []
  readonly #names: string[] = []
  readonly #ruleOf = new Map<string, number>()
  /** Rules that were called but not yet compiled. */
  readonly #bodies: Expression[] = []

  constructor(rules: ReadonlyMap<string, Expression>) {
    this.#rules = rules
  }

  compile(root: string): Program {
    this.#place(OP.accept, 0, 0, 0)
    this.#place(OP.call, this.#named(root), 0, ACCEPT)
    // Compiling a rule may add more.
    for (let i = 0; i < this.#bodies.length; i++)
      this.#starts[i] = this.#expression(this.#bodies[i]!, this.#place(OP.end, 0, 0, 0))
    return {
      op: this.#op,
      x: this.#x,
      y: this.#y,
      next: this.#next,
      starts: this.#starts,
      names: this.#names,
    }
  }

  #place(op: number, x: number, y: number, next: number): number {
    if (this.#op.length >= MAX_PLACES)
      throw new SkipstoneError(
        'unsupported',
        'The grammar is too large; use smaller repetition counts and lengths, or fewer alternatives.',
      )
    this.#op.push(op)
    this.#x.push(x)
    this.#y.push(y)
    return this.#next.push(next) - 1
  }

  #named(name: string): number {
    const known = this.#ruleOf.get(name)
    if (known !== undefined) return known
    const body = this.#rules.get(name)
    if (!body) throw new SkipstoneError('bad-option', `The grammar has no rule "${name}"; define it.`)
    const index = this.#rule(name, body)
    this.#ruleOf.set(name, index)
    return index
  }

  #rule(name: string, body: Expression): number {
    this.#names.push(name)
    return this.#bodies.push(body) - 1
  }

  /** The first place of an expression that goes on at `next`. */
  #expression(expression: Expression, next: number): number {
    switch (expression.kind) {
      case 'chars':
        return this.#chars(expression.ranges, next)
      case 'sequence':
        return expression.items.reduceRight((after, item) => this.#expression(item, after), next)
      case 'choice':
        return this.#either(expression.items.map((item) => this.#expression(item, next)))
      case 'repeat':
        return this.#repeat(expression, next)
      case 'rule':
        return this.#place(OP.call, this.#named(expression.name), 0, next)
    }
  }

  #either(places: readonly number[]): number {
    // No byte is from 1 to 0: the analysis finds that nothing comes after it.
    if (places.length === 0) return this.#place(OP.byte, 1, 0, ACCEPT)
    return places.reduceRight((rest, place) => this.#place(OP.split, place, rest, 0))
  }

  #chars(ranges: Ranges, next: number): number {
    // Characters share their last bytes.
    const shared = new Map<string, number>()
    const firsts = ranges.flatMap(([from, to]) =>
      utf8Sequences(from, to).map((bytes) =>
        bytes.reduceRight((after, [low, high]) => {
          const key = `${low},${high},${after}`
          const place = shared.get(key) ?? this.#place(OP.byte, low, high, after)
          shared.set(key, place)
          return place
        }, next),
      ),
    )
    return this.#either([...new Set(firsts)])
  }

  #repeat({ item, min, max }: Expression & { kind: 'repeat' }, next: number): number {
    if (max < min) return this.#either([])
    const optional = max === Number.POSITIVE_INFINITY ? 1 : max - min
    const single = item.kind === 'rule' || (item.kind === 'chars' && item.ranges.every(([, to]) => to <= 0x7f))
    const body: Expression | number = min + optional <= INLINE_COPIES || single ? item : this.#rule('(repeated)', item)
    const copy = (after: number) =>
      typeof body === 'number' ? this.#place(OP.call, body, 0, after) : this.#expression(body, after)

    let first = next
    if (max === Number.POSITIVE_INFINITY) {
      first = this.#place(OP.split, 0, next, 0)
      this.#x[first] = copy(first)
    } else for (let i = 0; i < optional; i++) first = this.#place(OP.split, copy(first), next, 0)
    for (let i = 0; i < min; i++) first = copy(first)
    return first
  }
}
