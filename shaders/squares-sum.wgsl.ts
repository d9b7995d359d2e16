import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { workgroupReduce } from './snippets/reduce.js'

/** Parts in which squares are added. */
export const SQUARES_PARTS = 64

/**
 * Sums of squares in parts, for the length of a gradient.
 *
 *   values  f32 [params.count]
 *   parts   f32 [64], written
 *
 * Dispatch: (64, 1, 1) groups of 256.
 */
export function squaresSumShader(): string {
  return wgsl`
struct Params { count: u32 }
@group(0) @binding(0) var<storage, read> values: array<f32>;
@group(0) @binding(1) var<storage, read_write> parts: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;
${workgroupReduce(256, ['sum'])}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  var squares = 0.0;
  for (var i = group.x * 256u + lane; i < params.count; i += ${256 * SQUARES_PARTS}u) { squares = fma(values[i], values[i], squares); }
  let sum = workgroupSum(lane, squares);
  if (lane == 0u) { parts[group.x] = sum; }
}
`
}
