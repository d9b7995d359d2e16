import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import type { CrossEntropyOptions } from './cross-entropy-slice.wgsl.js'
import { planRows } from './snippets/plan.js'

/**
 * Cross-entropy over the vocabulary in slices: what each row of the head weighs in the gradient of a row's state, in the place of the slice's
 * logits: exp(logit − largest logit so far), and 0 for tokens of an earlier slice. The sum that would make them probabilities is not known yet.
 *
 *   plan      u32, read
 *   sums      f32 [capacity] of four, see cross-entropy-slice, after this slice
 *   logits    f32 [capacity, stride], read and written
 *
 * Dispatch: (ceil(width / 64), rows, 1) groups of 64.
 */
export function crossEntropyWeightsShader(o: CrossEntropyOptions): string {
  return wgsl`
struct Params { first: u32, begin: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> sums: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> logits: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;
${planRows('all')}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= ${o.width}u || id.y >= rowCount()) { return; }
  let at = id.y * ${o.stride}u + id.x;
  logits[at] = select(exp(logits[at] - sums[id.y].x), 0.0, params.first + id.x < params.begin);
}
`
}
