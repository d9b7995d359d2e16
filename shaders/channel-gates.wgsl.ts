import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { loopBound, planRows } from './snippets/plan.js'
import { workgroupReduce } from './snippets/reduce.js'
import { sigmoid } from './snippets/sigmoid.js'

/**
 * Gates of training with a value for every channel (GateSkip, arXiv 2510.13876): g = sigmoid(v + bias) in place, their mean, which is the row's score,
 * and the sum of their squares.
 *
 *   plan        u32, read
 *   parameters  f32, the bias [d] at params.bias
 *   gates       f32 [capacity, 4 d4]   v, then g; what fills a row up becomes 0
 *   scores      f32 [capacity], written
 *   squares     f32 [sublayers, capacity], written at params.sublayer
 *
 * Dispatch: (rows, 1, 1) groups of 64.
 */
export function channelGatesShader({ d, d4, capacity }: { d: number; d4: number; capacity: number }): string {
  return wgsl`
struct Params { sublayer: u32, bias: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> parameters: array<f32>;
@group(0) @binding(2) var<storage, read_write> gates: array<f32>;
@group(0) @binding(3) var<storage, read_write> scores: array<f32>;
@group(0) @binding(4) var<storage, read_write> squares: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;
${planRows('all')}
${loopBound}
${workgroupReduce(64, ['sum'])}
${sigmoid}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.x;
  if (row >= rowCount()) { return; }
  var sum = 0.0;
  var squared = 0.0;
  for (var i = lane; i < bound(${4 * d4}u); i += 64u) {
    let at = row * ${4 * d4}u + i;
    var g = 0.0;
    if (i < ${d}u) { g = sigmoid(gates[at] + parameters[params.bias + i]); }
    gates[at] = g;
    sum += g;
    squared = fma(g, g, squared);
  }
  let total = workgroupSum(lane, sum);
  workgroupBarrier();
  let totalSquared = workgroupSum(lane, squared);
  if (lane == 0u) {
    scores[row] = total / ${d}.0;
    squares[params.sublayer * ${capacity}u + row] = totalSquared;
  }
}
`
}
