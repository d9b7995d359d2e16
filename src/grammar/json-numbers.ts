import { choice, EMPTY, type Expression, literal, NEVER, oneOf, optional, repeat, sequence } from './expression.js'
import { digits, fraction } from './json-text.js'

/** Bounds of a number; infinite where there is none. */
export interface Bounds {
  readonly min: number
  readonly max: number
  /** Whether the bound itself is left out. */
  readonly aboveMin: boolean
  readonly belowMax: boolean
}

/** Where there is no bound, whole numbers end here: JavaScript has no exact ones beyond. */
const LARGEST = Number.MAX_SAFE_INTEGER
/** Numbers of so many digits are told apart when they are parsed: none is rounded onto a bound or past it. */
const EXACT_DIGITS = 15

/** The whole numbers within the bounds. */
export function integersWithin({ min, max, aboveMin, belowMax }: Bounds): Expression {
  const low = Math.max(aboveMin ? Math.floor(min) + 1 : Math.ceil(min), -LARGEST)
  const high = Math.min(belowMax ? Math.ceil(max) - 1 : Math.floor(max), LARGEST)
  return choice(naturals(Math.max(low, 0), high), sequence(literal('-'), naturals(Math.max(-high, 1), -low)))
}

/** The numbers within whole bounds, as decimal fractions without exponent. */
export function numbersWithin({ min, max, aboveMin, belowMax }: Bounds): Expression {
  return choice(
    min >= 0 ? magnitudes(min, max, aboveMin, belowMax) : magnitudes(0, max, false, belowMax),
    sequence(
      literal('-'),
      max <= 0 ? magnitudes(-max, -min, belowMax, aboveMin) : magnitudes(0, -min, false, aboveMin),
    ),
  )
}

/** Numbers from `low` (at least 0) to `high`, without sign. */
function magnitudes(low: number, high: number, aboveLow: boolean, belowHigh: boolean): Expression {
  if (high < low) return NEVER
  const top = Math.min(high, 10 ** EXACT_DIGITS - 1)
  const places = EXACT_DIGITS - String(high === top ? high : low).length
  const some = places > 0 ? optional(fraction(places)) : EMPTY
  const zeros = places > 0 ? optional(sequence(literal('.'), repeat(literal('0'), 1, places))) : EMPTY
  const notZero = Array.from({ length: Math.max(places, 0) }, (_, i) =>
    sequence(literal(`.${'0'.repeat(i)}`), oneOf('123456789'), digits(0, places - 1 - i)),
  )
  const atLow = literal(String(low))
  if (low === high) return aboveLow || belowHigh ? NEVER : sequence(atLow, zeros)
  return choice(
    sequence(atLow, aboveLow ? choice(...notZero) : some),
    sequence(naturals(low + 1, high === top ? high - 1 : top), some),
    high !== top || belowHigh ? NEVER : sequence(literal(String(high)), zeros),
  )
}

/** The whole numbers from `low` (at least 0) to `high`, by how many digits they have. */
function naturals(low: number, high: number): Expression {
  const items: Expression[] = []
  for (let from = low; from <= high; ) {
    const to = Math.min(high, 10 ** String(from).length - 1)
    items.push(sameLength(String(from), String(to)))
    from = to + 1
  }
  return choice(...items)
}

/** The digits from `low` to `high`, which are equally many. */
function sameLength(low: string, high: string): Expression {
  if (/^0*$/.test(low) && /^9*$/.test(high)) return digits(low.length, low.length)
  const rest = low.length - 1
  const first = Number(low[0])
  const last = Number(high[0])
  const from = (digit: number, a: string, b: string) => sequence(literal(String(digit)), sameLength(a, b))
  if (first === last) return from(first, low.slice(1), high.slice(1))
  const between = '0123456789'.slice(first + 1, last)
  return choice(
    from(first, low.slice(1), '9'.repeat(rest)),
    between === '' ? NEVER : sequence(oneOf(between), digits(rest, rest)),
    from(last, '0'.repeat(rest), high.slice(1)),
  )
}
