import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { planRows } from './snippets/plan.js'
import { stepLosses, stepSettings } from './snippets/step-settings.js'

/**
 * Gradient of gate-sample in the two logits, through the soft form: dLogits[0] = (dGate + penalty) soft (1 − soft) / tau = −dLogits[1].
 *
 *   plan      u32, read
 *   settings, losses  see snippets/step-settings.ts
 *   soft      f32 [sublayers, capacity], at params.sublayer
 *   dGates    f32 [capacity], without the penalty
 *   dLogits   f32 [capacity, 2], written
 *
 * Dispatch: (ceil(rows / 64), 1, 1) groups of 64.
 */
export function gateSampleBackwardShader({ capacity }: { capacity: number }): string {
  return wgsl`
${stepSettings}
${stepLosses}
struct Params { sublayer: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> settings: StepSettings;
@group(0) @binding(2) var<storage, read> losses: StepLosses;
@group(0) @binding(3) var<storage, read> soft: array<f32>;
@group(0) @binding(4) var<storage, read> dGates: array<f32>;
@group(0) @binding(5) var<storage, read_write> dLogits: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;
${planRows('all')}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x;
  if (row >= rowCount()) { return; }
  let s = soft[params.sublayer * ${capacity}u + row];
  let gradient = (dGates[row] + losses.dGate) * s * (1.0 - s) / settings.tau;
  dLogits[2u * row] = gradient;
  dLogits[2u * row + 1u] = -gradient;
}
`
}
