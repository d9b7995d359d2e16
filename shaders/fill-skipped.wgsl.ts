import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { HOLE } from './snippets/hole.js'
import { loopBound, type Positions, positionOf } from './snippets/plan.js'

export interface FillSkippedOptions {
  kvHeads: number
  headDim: number
  /** What is left: a hole (snippets/hole.ts), or what the layer below has at the position. */
  with: 'hole' | 'below'
  positions: Positions
}

/**
 * What rows that skip an attention leave in its cache, at their positions (D-LLM, Jiang et al. 2024, leaves holes; GateSkip, arXiv 2510.13876, copies).
 *
 *   plan   u32, read
 *   z      f32, read    row r skips where z[params.z + r] < 0
 *   kv     f32 [context, 2 kvHeads headDim], written where rows skip
 *   below  likewise, read, for copies only
 *
 * Dispatch: (rows, 1, 1) groups of 64; group g takes row params.row + g.
 */
export function fillSkippedShader(o: FillSkippedOptions): string {
  const row4 = (2 * o.kvHeads * o.headDim) / 4
  const keys4 = (o.kvHeads * o.headDim) / 4
  const head4 = o.headDim / 4
  return wgsl`
struct Params { z: u32, row: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> z: array<f32>;
@group(0) @binding(2) var<storage, read_write> kv: array<vec4f>;
#if ${o.with === 'below'}
@group(0) @binding(3) var<storage, read> below: array<vec4f>;
#endif
@group(0) @binding(4) var<uniform> params: Params;
${loopBound}
${positionOf(o.positions)}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = params.row + group.x;
  if (row >= plan[0] || z[params.z + row] >= 0.0) { return; }
  let first = positionOf(row) * ${row4}u;
  for (var i = lane; i < bound(${row4}u); i += 64u) {
    #if ${o.with === 'below'}
    kv[first + i] = below[first + i];
    #else
    kv[first + i] = vec4f(select(0.0, ${HOLE}, i < ${keys4}u && i % ${head4}u == 0u), 0.0, 0.0, 0.0);
    #endif
  }
}
`
}
