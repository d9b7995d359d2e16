import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { PLAN_HEADER } from './snippets/plan.js'

export interface CompactOptions {
  capacity: number
  /** Neighbouring sublayers that one dispatch compacts. */
  count: 1 | 2
  /** Invocations of a group, each for a row of a block: a power of two. */
  lanes: number
  /** Of two sublayers with the same decisions, the second one lists the rows that do not run. */
  complement?: boolean
}

/**
 * Order-preserving compaction of one sublayer's decisions: active = ascending rows with z >= 0, and their count.
 *
 *   z     f32 [2L, capacity]
 *   plan  u32, slots written (see snippets/plan.ts); rows read
 *
 * Dispatch: (sublayers to compact, 1, 1) groups of `lanes`; group g takes sublayer params.sublayer + g. Blocks of as many
 * rows are scanned (Hillis & Steele 1986) one after the other with a running offset; an invocation alone takes row after row.
 */
export function compactShader(o: CompactOptions): string {
  const { lanes } = o
  const listed = (row: string) => {
    const runs = `z[sublayer * ${o.capacity}u + ${row}] >= 0.0`
    return o.complement ? `(${runs}) == (group.x == 0u)` : runs
  }
  return wgsl`
struct Params { sublayer: u32 }
@group(0) @binding(0) var<storage, read> z: array<f32>;
@group(0) @binding(1) var<storage, read_write> plan: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;
#if ${lanes > 1}
var<workgroup> ranks: array<u32, ${lanes}>;
var<workgroup> liveRows: u32;
#endif

@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let sublayer = params.sublayer + group.x;
  let slot = ${PLAN_HEADER}u + sublayer * ${o.capacity + 1}u;
  var offset = 0u;
  #if ${lanes > 1}
  // plan is bound writable, so its words are not uniform to the compiler: pass the row count through workgroup memory.
  if (lane == 0u) { liveRows = plan[0]; }
  let rows = workgroupUniformLoad(&liveRows);
  for (var first = 0u; first < rows; first += ${lanes}u) {
    let row = first + lane;
    let execute = select(0u, 1u, row < rows && ${listed(`min(row, ${o.capacity - 1}u)`)});
    ranks[lane] = execute;
    workgroupBarrier();
    for (var step = 1u; step < ${lanes}u; step <<= 1u) {
      var below = 0u;
      if (lane >= step) { below = ranks[lane - step]; }
      workgroupBarrier();
      ranks[lane] += below;
      workgroupBarrier();
    }
    if (execute == 1u) { plan[slot + offset + ranks[lane]] = row; }
    offset += ranks[${lanes - 1}];
    workgroupBarrier();
  }
  #else
  let rows = plan[0];
  for (var row = 0u; row < rows; row++) {
    if (${listed('row')}) {
      offset++;
      plan[slot + offset] = row;
    }
  }
  #endif
  if (lane == 0u) { plan[slot] = offset; }
}
`
}
