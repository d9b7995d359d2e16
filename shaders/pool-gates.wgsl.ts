import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { loopBound } from './snippets/plan.js'
import { workgroupReduce } from './snippets/reduce.js'
import { sigmoid } from './snippets/sigmoid.js'

/**
 * One decision for a sequence (MindSkip, arXiv 2410.13184): sigmoid(mean over the rows of v) − threshold becomes the margin of every row of the chunk
 * that begins the sequence. Every later chunk gets that of the one before it, which its row 0 has kept. A linear gate of the mean of some rows is the
 * mean of its values for these rows.
 *
 *   plan        u32, read
 *   gates       f32 [capacity], read   v
 *   thresholds  f32 [2L]
 *   z           f32 [2L, capacity], read and written at params.sublayer
 *
 * Dispatch: one group of 64.
 */
export function poolGatesShader({ capacity }: { readonly capacity: number }): string {
  return wgsl`
struct Params { sublayer: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> gates: array<f32>;
@group(0) @binding(2) var<storage, read> thresholds: array<f32>;
@group(0) @binding(3) var<storage, read_write> z: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;
${loopBound}
${workgroupReduce(64, ['sum'])}
${sigmoid}

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) {
  let rows = plan[0];
  let first = params.sublayer * ${capacity}u;
  var sum = 0.0;
  for (var row = lane; row < bound(rows); row += 64u) { sum += gates[row]; }
  let mean = workgroupSum(lane, sum) / f32(max(rows, 1u));
  let pooled = sigmoid(mean) - thresholds[params.sublayer];
  let kept = z[first];
  // Row 0 is written when everybody has read it.
  workgroupBarrier();
  let margin = select(kept, pooled, plan[1] == 0u);
  for (var row = lane; row < bound(rows); row += 64u) { z[first + row] = margin; }
}
`
}
