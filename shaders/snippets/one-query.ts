/** When a kernel attends with a single query of a sequence, and where that stands. */
export interface OneQuery {
  /** Where the execute word is: nowhere, as all positions attend; in the plan's slot; or in the sign of a margin, where the rows of a batch are decided. */
  obeys: 'nothing' | 'plan' | 'margin'
  /** The query is a row of a batch, whose sequences have caches of their own. */
  batch?: {
    /** Of the plan's positions. */
    readonly firstWord: number
    /** Values from one row to the next one of q. */
    readonly queryStride: number
  }
}

/**
 * WGSL statements that end the kernel where its query has nothing to do, and leave the positions that it sees in `length`. `row` is that of a
 * batch. Needs the plan bound read-only, `params.slot` and `params.z`, and the margins as `z` where they are obeyed: the branches are uniform.
 */
export function enterQuery({ obeys, batch }: OneQuery, row: string): string {
  const guard = {
    nothing: '',
    plan: 'if (plan[params.slot] == 0u) { return; }',
    margin: 'if (z[params.z + row] < 0.0) { return; }',
  }[obeys]
  return `
  if (plan[0] == 0u) { return; }
  ${batch ? `let row = ${row};` : ''}
  ${guard}
  let length = ${batch ? `plan[${batch.firstWord}u + row]` : 'plan[1]'} + 1u;`
}

/** WGSL: where row `row`'s values begin in q, in front of a further index; in units of four. */
export function queryStart({ batch }: OneQuery): string {
  return batch ? `row * ${batch.queryStride / 4}u + ` : ''
}
