import type { Rows } from './plan.js'
import type { WeightDtype } from './weights.js'

/** Register tile (rows x columns per invocation) and how operands reach it. */
export interface GemmForm {
  rows: number
  columns: number
  /** Invocations across columns, and across rows, of one group. */
  lanesX: number
  lanesY: number
  /**
   * Vectors of four along k that pass through workgroup memory at a time (GPUs); 0 reads straight from the buffers (gemm-straight.wgsl.ts: CPUs behind
   * WebGPU, where barriers are dear), and lanesY is 1.
   */
  stagedK4: number
  /**
   * Instead of each invocation reading every row, the lanesX invocations of a subgroup read rows of their own and pass them on to the others. On CPUs behind WebGPU,
   * where one value for all lanes costs as much as one for each. Needs the feature `subgroups`, and nothing is staged.
   */
  broadcasts?: true
  /** For so many rows at most, and then always. Default: for any number. */
  mostRows?: number
  /** Instead, invocations go along k side by side and add up what they have: few-rows.wgsl.ts. Both lanes are then 1, and nothing is staged. */
  along?: { lanes: number; adds: 'memory' | 'subgroups' }
}

export interface GemmOptions {
  k4: number
  n: number
  /** Words between rows of the output. */
  outputStride: number
  dtype: WeightDtype
  bias: boolean
  rows: Rows
  /** Read input row rowAt(i) instead of row i. */
  gather: boolean
  /**
   * What happens to a product: stored at row i, or at row rowAt(i); added to row rowAt(i) of the residual stream; the same but only where
   * z >= 0 (masked control); or combined as silu(gate) · up, where weights hold n rows of gate, then n rows of up.
   */
  epilogue: 'store' | 'scatter' | 'add' | 'add-masked' | 'silu-up'
  form: GemmForm
}

/** The options of a product that has a form for every number of rows. */
export type GemmChoice = Omit<GemmOptions, 'form'> & {
  /** Largest tiles first; the last one is for few rows. */
  forms: readonly GemmForm[]
}

/** Columns of the output that an invocation makes. Two matrices share the room of one. */
export function columnsPerLane({ form, epilogue }: Pick<GemmOptions, 'form' | 'epilogue'>): number {
  return epilogue === 'silu-up' ? form.columns / 2 : form.columns
}
