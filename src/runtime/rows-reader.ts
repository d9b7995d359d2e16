import type { Dispatch, ParamsArena } from '../gpu/dispatch.js'
import type { Program } from './program.js'

/** Reads what rows leave, a few at a time. */
export interface RowsReader {
  /** Rows that are fed at a time. */
  readonly rows: number
  /** Where its dispatches leave so many values a row, and what is recorded instead of the program. */
  readonly extra: {
    readonly buffer: GPUBuffer
    readonly values: number
    readonly observed?: ((program: Program) => Program) | undefined
  }
  /** Follow the layers of every few rows. */
  dispatches(plan: GPUBuffer): Promise<readonly Dispatch[]>
  /** Takes what the rows from `first` on left. */
  read(first: number, words: Uint32Array): void
}

/** What is read of rows that are fed. */
export interface RowsReading {
  /** Follows the layers of every few rows. */
  readonly ending: readonly Dispatch[]
  /** Where they leave so many values a row. */
  readonly out: GPUBuffer
  readonly values: number
  readonly before?: (first: number, rows: number) => void
  /** What is recorded instead of the program. */
  readonly observed?: (program: Program) => Program
}

export type MakeReading = (arena: ParamsArena, plan: GPUBuffer) => Promise<RowsReading>
