import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { workgroupReduce } from './snippets/reduce.js'

export interface NllOptions {
  vocab: number
}

/**
 * Negative log-likelihood of the target after each row, in nats: logsumexp(logits) − logits[target].
 *
 *   plan     u32, read
 *   logits   f32 [capacity, vocab]
 *   targets  u32 [capacity]
 *   nll      f32 [capacity], written
 *
 * Dispatch: (rows, 1, 1) groups of 256.
 */
export function nllShader(o: NllOptions): string {
  return wgsl`
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read_write> nll: array<f32>;
${workgroupReduce(256, ['sum', 'max'])}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  if (group.x >= plan[0]) { return; }
  let first = group.x * ${o.vocab}u;
  var highest = -3.0e38;
  for (var i = lane; i < ${o.vocab}u; i += 256u) { highest = max(highest, logits[first + i]); }
  let maximum = workgroupMax(lane, highest);
  var mass = 0.0;
  for (var i = lane; i < ${o.vocab}u; i += 256u) { mass += exp(logits[first + i] - maximum); }
  let total = workgroupSum(lane, mass);
  if (lane == 0u) { nll[group.x] = log(total) + maximum - logits[first + targets[group.x]]; }
}
`
}
