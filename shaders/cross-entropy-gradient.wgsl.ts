import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { NO_TARGET } from './cross-entropy-slice.wgsl.js'
import { planRows } from './snippets/plan.js'
import { stepSettings } from './snippets/step-settings.js'
import { readWeights, type WeightDtype, weightElement } from './snippets/weights.js'

export interface CrossEntropyGradientOptions {
  /** Vectors of four in a row of the head. */
  k4: number
  dtype: WeightDtype
}

/**
 * The gradient of the cross-entropy in the states that the head reads, once all slices of the vocabulary have added what they weigh:
 * dState = targetScale · (dState / sum − head[target]); 0 for rows without a target.
 *
 *   plan      u32, read
 *   settings  see snippets/step-settings.ts
 *   targets   u32 [capacity]
 *   sums      f32 [capacity] of four, see cross-entropy-slice, after all slices
 *   head      [vocab, k4] of four
 *   dState    f32 [capacity, k4] of four, read and written
 *
 * Dispatch: (ceil(k4 / 64), rows, 1) groups of 64.
 */
export function crossEntropyGradientShader({ k4, dtype }: CrossEntropyGradientOptions): string {
  return wgsl`
${stepSettings}
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> settings: StepSettings;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read> sums: array<vec4f>;
@group(0) @binding(4) var<storage, read> head: array<${weightElement(dtype)}>;
@group(0) @binding(5) var<storage, read_write> dState: array<vec4f>;
${readWeights(dtype, k4, 'head')}
${planRows('all')}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= ${k4}u || id.y >= rowCount()) { return; }
  let at = id.y * ${k4}u + id.x;
  let target_ = targets[id.y];
  if (target_ == ${NO_TARGET}u) {
    dState[at] = vec4f();
    return;
  }
  dState[at] = settings.targetScale * (dState[at] / sums[id.y].y - weight(weightStart(target_), id.x));
}
`
}
