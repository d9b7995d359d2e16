/** Which rows run, packed together in their original order, and where each row went. */
export interface Compaction {
  /** How many rows run. */
  count: number
  /** [count] The rows that run, ascending. */
  active: Int32Array
  /** [rows] The place of each row in `active`, -1 if it does not run. */
  slot: Int32Array
}

/**
 * Order-preserving compaction of execute words.
 *
 * execute [rows], 0 or 1 -> see `Compaction`
 */
export function compact(execute: ArrayLike<number>): Compaction {
  const active = new Int32Array(execute.length)
  const slot = new Int32Array(execute.length)
  let count = 0
  for (let row = 0; row < execute.length; row++) {
    if (execute[row]) {
      active[count] = row
      slot[row] = count
      count++
    } else {
      slot[row] = -1
    }
  }
  return { count, active: active.slice(0, count), slot }
}
