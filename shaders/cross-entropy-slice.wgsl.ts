import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { loopBound, planRows } from './snippets/plan.js'
import { workgroupReduce } from './snippets/reduce.js'

/** The target of a row that has none. */
export const NO_TARGET = 0xffffffff

export interface CrossEntropyOptions {
  /** Logits of a slice, and values between rows of them. */
  width: number
  stride: number
}

/**
 * Cross-entropy over the vocabulary in slices: the largest logit, the sum of exponentials relative to it (online softmax, Milakov & Gimelshein
 * 2018), and the target's logit of each row, after the slice with the tokens params.first .. + width. Those below params.begin were in an earlier
 * slice; what was added up over them is worth `share` of that by now.
 *
 *   plan     u32, read
 *   logits   f32 [capacity, stride]
 *   targets  u32 [capacity]; NO_TARGET where a row has none
 *   sums     f32 [capacity] of (largest, sum, target's logit, share), read and written; params.begin = 0 begins anew
 *
 * Dispatch: (rows, 1, 1) groups of 64.
 */
export function crossEntropySliceShader(o: CrossEntropyOptions): string {
  return wgsl`
struct Params { first: u32, begin: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read_write> sums: array<vec4f>;
@group(0) @binding(4) var<uniform> params: Params;
${planRows('all')}
${loopBound}
${workgroupReduce(64, ['sum', 'max'])}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.x;
  if (row >= rowCount()) { return; }
  let origin = row * ${o.stride}u;
  let offset = params.begin - params.first;
  var highest = -3.0e38;
  for (var i = offset + lane; i < bound(${o.width}u); i += 64u) { highest = max(highest, logits[origin + i]); }
  let largest = workgroupMax(lane, highest);
  workgroupBarrier();
  var mass = 0.0;
  for (var i = offset + lane; i < bound(${o.width}u); i += 64u) { mass += exp(logits[origin + i] - largest); }
  let sum = workgroupSum(lane, mass);
  if (lane > 0u) { return; }
  var before = vec4f(-3.0e38, 0.0, 0.0, 0.0);
  if (params.begin > 0u) { before = sums[row]; }
  let both = max(before.x, largest);
  let target_ = targets[row];
  var own = before.z;
  if (target_ >= params.begin && target_ < params.first + ${o.width}u) { own = logits[origin + target_ - params.first]; }
  let share = exp(before.x - both);
  sums[row] = vec4f(both, before.y * share + sum * exp(largest - both), own, share);
}
`
}
