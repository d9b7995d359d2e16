import type { TraceFile } from '../../src/index.js'

/** What two settings did with one sublayer of one token. */
export const CELLS = ['both', 'neither', 'first', 'this'] as const
export type Cell = (typeof CELLS)[number]

/** How the decisions of two settings differ on the same text. */
export interface Difference {
  /** By sublayer, attention and MLP of each layer in turn; then by token. */
  readonly rows: readonly (readonly Cell[])[]
  readonly tokens: number
  /** By sublayer, how often each state occurs. */
  readonly counts: readonly Readonly<Record<Cell, number>>[]
}

export function difference(first: TraceFile, other: TraceFile): Difference {
  const tokens = Math.min(first.steps.length, other.steps.length)
  const rows = Array.from({ length: 2 * first.layers }, (_, sublayer) =>
    Array.from({ length: tokens }, (_, token) => cell(ran(first, token, sublayer), ran(other, token, sublayer))),
  )
  return { rows, tokens, counts: rows.map(count) }
}

/** All sublayers together. */
export function totals({ counts }: Difference): Record<Cell, number> {
  const sum = { both: 0, neither: 0, first: 0, this: 0 }
  for (const row of counts) for (const state of CELLS) sum[state] += row[state]
  return sum
}

/** “Attention 3”, layers counted from 0, as in the inspector. */
export function sublayerName(sublayer: number): string {
  return `${sublayer % 2 === 0 ? 'Attention' : 'MLP'} ${sublayer >> 1}`
}

function ran(trace: TraceFile, token: number, sublayer: number): boolean {
  const step = trace.steps[token]
  return (sublayer % 2 === 0 ? step?.attention : step?.mlp)?.[sublayer >> 1] === '1'
}

function cell(first: boolean, other: boolean): Cell {
  if (first) return other ? 'both' : 'first'
  return other ? 'this' : 'neither'
}

function count(row: readonly Cell[]): Record<Cell, number> {
  const counts = { both: 0, neither: 0, first: 0, this: 0 }
  for (const state of row) counts[state]++
  return counts
}
