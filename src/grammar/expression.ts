/** What may stand in a rule of a grammar, over Unicode code points. */
export type Expression =
  | { readonly kind: 'chars'; readonly ranges: Ranges }
  | { readonly kind: 'sequence'; readonly items: readonly Expression[] }
  | { readonly kind: 'choice'; readonly items: readonly Expression[] }
  | { readonly kind: 'repeat'; readonly item: Expression; readonly min: number; readonly max: number }
  | { readonly kind: 'rule'; readonly name: string }

/** Code points from .. to, both inclusive; sorted and apart where `tidy` made them. */
export type Ranges = readonly (readonly [from: number, to: number])[]

export const MAX_CODE_POINT = 0x10ffff

export const chars = (ranges: Ranges): Expression => ({ kind: 'chars', ranges })
export const sequence = (...items: readonly Expression[]): Expression => ({ kind: 'sequence', items })
export const choice = (...items: readonly Expression[]): Expression => ({ kind: 'choice', items })
/** `max` is Infinity where there is no limit. */
export const repeat = (item: Expression, min: number, max: number): Expression => ({ kind: 'repeat', item, min, max })
export const optional = (item: Expression): Expression => repeat(item, 0, 1)
export const rule = (name: string): Expression => ({ kind: 'rule', name })
/** Matches the empty text only. */
export const EMPTY = sequence()
/** Matches no text at all: what needs it is cut off. */
export const NEVER = choice()

export function literal(text: string): Expression {
  return sequence(
    ...Array.from(text, (char) => {
      const codePoint = char.codePointAt(0)!
      return chars([[codePoint, codePoint]])
    }),
  )
}

/** One of the characters of a text. */
export function oneOf(text: string): Expression {
  return chars(tidy(Array.from(text, (char) => [char.codePointAt(0)!, char.codePointAt(0)!] as const)))
}

/** Sorted, without overlaps and without neighbours that touch. */
export function tidy(ranges: Ranges): Ranges {
  const out: [number, number][] = []
  for (const [from, to] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const last = out.at(-1)
    if (last && from <= last[1] + 1) last[1] = Math.max(last[1], to)
    else out.push([from, to])
  }
  return out
}

/** Every code point that is in none of the ranges. */
export function complement(ranges: Ranges): Ranges {
  const out: [number, number][] = []
  let from = 0
  for (const [low, high] of tidy(ranges)) {
    if (low > from) out.push([from, low - 1])
    from = high + 1
  }
  if (from <= MAX_CODE_POINT) out.push([from, MAX_CODE_POINT])
  return out
}

export function intersection(a: Ranges, b: Ranges): Ranges {
  return complement([...complement(a), ...complement(b)])
}

/** The same expression over other characters: every class is replaced by what `change` makes of it. */
export function mapChars(expression: Expression, change: (ranges: Ranges) => Expression): Expression {
  switch (expression.kind) {
    case 'chars':
      return change(expression.ranges)
    case 'sequence':
    case 'choice':
      return { ...expression, items: expression.items.map((item) => mapChars(item, change)) }
    case 'repeat':
      return { ...expression, item: mapChars(expression.item, change) }
    case 'rule':
      return expression
  }
}
