import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { type CrossEntropyOptions, NO_TARGET } from './cross-entropy-slice.wgsl.js'
import { planRows } from './snippets/plan.js'
import { stepSettings } from './snippets/step-settings.js'

/**
 * Cross-entropy over the vocabulary in slices, second pass: the gradient in the logits of a slice, in their place,
 * targetScale · (softmax − [token = target]); 0 for tokens of an earlier slice and for rows without a target.
 *
 *   plan      u32, read
 *   settings  see snippets/step-settings.ts
 *   targets   u32 [capacity]
 *   sums      f32 [capacity] of four, see cross-entropy-slice, after all slices
 *   logits    f32 [capacity, stride], read and written
 *
 * Dispatch: (ceil(width / 64), rows, 1) groups of 64.
 */
export function crossEntropyBackwardShader(o: CrossEntropyOptions): string {
  return wgsl`
${stepSettings}
struct Params { first: u32, begin: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> settings: StepSettings;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read> sums: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> logits: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;
${planRows('all')}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= ${o.width}u || id.y >= rowCount()) { return; }
  let at = id.y * ${o.stride}u + id.x;
  let token = params.first + id.x;
  let target_ = targets[id.y];
  let known = sums[id.y];
  let p = exp(logits[at] - known.x) / known.y;
  let gradient = settings.targetScale * (p - select(0.0, 1.0, token == target_));
  logits[at] = select(gradient, 0.0, token < params.begin || target_ == ${NO_TARGET}u);
}
`
}
