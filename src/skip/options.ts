import { SkipstoneError } from '../errors.js'

/** What an option of a policy may be: gives its value, or the default where it is not given. `name` is for the message. @throws `bad-option`. */
export type Option<T> = (value: number | string | undefined, name: string) => T

function numeric(what: string, isOne: (value: number) => boolean) {
  return <D extends number | string | undefined>(otherwise: D): Option<number | D> =>
    (value, name) => {
      if (value === undefined || value === otherwise) return otherwise
      if (Number.isFinite(value) && isOne(value as number)) return value as number
      throw new SkipstoneError('bad-option', `${name} is ${what}, not ${value}.`)
    }
}

export const finite = numeric('a finite number', () => true)
export const share = numeric('a share between 0 and 1', (value) => value >= 0 && value <= 1)
export const whole = numeric('a whole number', Number.isInteger)
export const count = numeric('a whole number, 1 or more', (value) => Number.isInteger(value) && value >= 1)
export const factor = numeric('1 or more', (value) => value >= 1)

/** Whole numbers with a slash between them, as in 8/4/0. */
export const slashed: Option<readonly number[]> = (value, name) => {
  const numbers = String(value ?? '')
    .split('/')
    .map((part) => (/^\d+$/.test(part.trim()) ? Number(part) : Number.NaN))
  if (numbers.every(Number.isInteger)) return numbers
  throw new SkipstoneError(
    'bad-option',
    `${name} is a whole number for each stage, such as 8/4/0, not ${value ?? 'left out'}.`,
  )
}

/** One of these words; the first is the default. */
export function oneOf<const T extends string>(...words: [T, ...T[]]): Option<T> {
  return (value, name) => {
    const found = value === undefined ? words[0] : words.find((word) => word === value)
    if (found !== undefined) return found
    throw new SkipstoneError('bad-option', `${name} is ${words.join(' or ')}, not "${value}".`)
  }
}
