import { partsAt } from '../../src/index.js'

/** Where a text leaves the first setting's. */
export interface Parting {
  readonly kind: 'same' | 'parts' | 'shorter' | 'longer'
  /** Tokens that both have. */
  readonly at: number
}

export function parting(first: readonly number[], other: readonly number[]): Parting {
  const at = partsAt(first, other)
  if (at !== undefined) return { kind: 'parts', at }
  if (first.length === other.length) return { kind: 'same', at: first.length }
  return other.length < first.length ? { kind: 'shorter', at: other.length } : { kind: 'longer', at: first.length }
}

/** In words; a reader counts tokens from 1. */
export function describeParting({ kind, at }: Parting): string {
  switch (kind) {
    case 'same':
      return 'same text'
    case 'parts':
      return `at token ${at + 1}`
    case 'shorter':
      return `ends after token ${at}, setting 1 goes on`
    case 'longer':
      return `goes on after token ${at}, setting 1 ends`
  }
}
