import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { loopBound, planRows } from './snippets/plan.js'
import { workgroupReduce } from './snippets/reduce.js'

export interface GateApplyBackwardOptions {
  d4: number
  capacity: number
  scales: 'dy' | 'own'
}

/**
 * Gradients of y = x + gate · branch: dGate = dy · branch, and dBranch = gate dy in the place of branch. (dx is dy.)
 *
 * With `scales: 'own'` the same further back, where branch = P r and P is linear: `dy` is r and `branch` is Pᵀ dy, so that dGate = r · Pᵀ dy, and
 * the gradient in r, gate Pᵀ dy, takes the place of Pᵀ dy.
 *
 *   plan    u32, read
 *   dy      f32 [capacity, d4] of four
 *   gates   f32 [sublayers, capacity], at params.sublayer
 *   branch  f32 [capacity, d4] of four, read and written
 *   dGates  f32 [capacity], written
 *
 * Dispatch: (rows, 1, 1) groups of 64.
 */
export function gateApplyBackwardShader({ d4, capacity, scales }: GateApplyBackwardOptions): string {
  return wgsl`
struct Params { sublayer: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read> gates: array<f32>;
@group(0) @binding(3) var<storage, read_write> branch: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> dGates: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;
${planRows('all')}
${loopBound}
${workgroupReduce(64, ['sum'])}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.x;
  if (row >= rowCount()) { return; }
  let gate = gates[params.sublayer * ${capacity}u + row];
  var products = 0.0;
  for (var i = lane; i < bound(${d4}u); i += 64u) {
    let at = row * ${d4}u + i;
    products += dot(dy[at], branch[at]);
    branch[at] = gate * ${scales === 'dy' ? 'dy' : 'branch'}[at];
  }
  let dGate = workgroupSum(lane, products);
  if (lane == 0u) { dGates[row] = dGate; }
}
`
}
