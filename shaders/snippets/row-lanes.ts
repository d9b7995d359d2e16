/** Rows of a group whose invocations have a row each: the widest vectors of CPUs have so many lanes. */
const ROWS_OF_GROUP = 8

/**
 * How the invocations of a group go along rows: all `lanes` along one, or, with one lane, each along a row of its own, which needs no barriers. A power of two.
 */
export interface RowLanes {
  lanes: number
}

/** Groups for the rows of a chunk. */
export function rowGroups({ lanes }: RowLanes) {
  return ({ rows }: { rows: number }) => [lanes === 1 ? Math.ceil(rows / ROWS_OF_GROUP) : rows, 1, 1] as const
}

/** WGSL: the head of `main`, which ends for rows from `count` on; leaves `row` and `lane`. */
export function mainOfRows({ lanes }: RowLanes, count: string): string {
  const own = lanes === 1
  return `
@compute @workgroup_size(${own ? ROWS_OF_GROUP : lanes})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) invocation: u32) {
  let row = ${own ? `group.x * ${ROWS_OF_GROUP}u + invocation` : 'group.x'};
  let lane = ${own ? '0u' : 'invocation'};
  if (row >= ${count}) { return; }`
}
