import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { loopBound } from './snippets/plan.js'

export interface ScaleRowsOptions {
  /** vec4s of a row. */
  d4: number
}

/**
 * What is left of a sublayer that no token runs: x = scale · x, for every row.
 *
 *   plan  u32, read
 *   x     f32 [capacity, 4 d4], changed
 *
 * Dispatch: (rows, 1, 1) groups of 64.
 */
export function scaleRowsShader({ d4 }: ScaleRowsOptions): string {
  return wgsl`
struct Params { scale: f32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<uniform> params: Params;

${loopBound}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  if (group.x >= plan[0]) { return; }
  let row = group.x * ${d4}u;
  for (var i = lane; i < bound(${d4}u); i += 64u) { x[row + i] *= params.scale; }
}
`
}
