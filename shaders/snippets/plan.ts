/**
 * The plan buffer (`array<u32>`) says which rows of the current chunk a kernel works on. Routers and the sampler write
 * it in dispatches of their own; every other kernel binds it read-only, so that returning early on it is uniform
 * control flow.
 *
 *   [0] rows    rows in this chunk; 0 once a stop token was sampled: later steps of the submit then do nothing
 *   [1] start   position of row 0 in the sequence
 *   [2] cursor  index of this chunk's first record in the ring
 *   [3] always 0 (see `loopBound`)
 *   then one slot per sublayer: [count, active[0 .. capacity)], ascending row numbers
 */
export const PLAN_HEADER = 4

/** Index of the slot of `sublayer` in the plan buffer, for chunks of at most `capacity` rows. */
export function planSlot(sublayer: number, capacity: number): number {
  return PLAN_HEADER + sublayer * (capacity + 1)
}

/** Words in the plan buffer of a model with `sublayers` sublayers. */
export function planWords(sublayers: number, capacity: number): number {
  return planSlot(sublayers, capacity)
}

/**
 * Where rows stand in their sequences. Those of one sequence follow each other; those of a batch belong to a sequence each, and the plan has
 * a word with the position of every row, from `firstWord` on.
 */
export type Positions = 'consecutive' | { readonly firstWord: number }

/** Positions of a batch: behind the slots. */
export function batchPositions(sublayers: number, capacity: number): Exclude<Positions, 'consecutive'> {
  return { firstWord: planWords(sublayers, capacity) }
}

/** WGSL `positionOf(row)`: needs `plan: array<u32>`. */
export function positionOf(positions: Positions): string {
  const position = positions === 'consecutive' ? 'plan[1] + row' : `plan[${positions.firstWord}u + row]`
  return `fn positionOf(row: u32) -> u32 { return ${position}; }`
}

/** Which rows a row-wise kernel runs: every row of the chunk, or those that the slot in `params.slot` lists. */
export type Rows = 'all' | 'active'

/** WGSL `rowCount()` and `rowAt(i)`: needs `plan: array<u32>` bound read-only, and `params.slot` for active rows. */
export function planRows(rows: Rows): string {
  return rows === 'all'
    ? `fn rowCount() -> u32 { return plan[0]; }
fn rowAt(i: u32) -> u32 { return i; }`
    : `fn rowCount() -> u32 { return plan[params.slot]; }
fn rowAt(i: u32) -> u32 { return plan[params.slot + 1u + i]; }`
}

/**
 * WGSL `bound(n)` = n, in a form that no compiler sees through: plan[3] is 0. With constant bounds some of them unroll
 * the small loops of small models into seconds of compiling; a loop over 32 entries of 16 lines is a page, not a kernel.
 */
export const loopBound = `fn bound(n: u32) -> u32 { return n + plan[3]; }`

/** WGSL for the end of a loop of n rounds: `bound(n)`, or n itself where compilers may unroll it. */
export function loopEnd(n: number, unrolled: boolean): string {
  return unrolled ? `${n}u` : `bound(${n}u)`
}
