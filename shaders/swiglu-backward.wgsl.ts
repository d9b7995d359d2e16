import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { planRows } from './snippets/plan.js'

/**
 * Gradients of y = silu(gate) · up, in the place of gate and up: with σ = sigmoid(gate), dUp = dy gate σ and
 * dGate = dy up σ (1 + gate (1 − σ)).
 *
 *   plan      u32, read
 *   dy        f32 [capacity, width4] of four
 *   gate, up  f32 [capacity, width4] of four, read and written
 *
 * Dispatch: (ceil(width4 / 64), rows, 1) groups of 64.
 */
export function swigluBackwardShader({ width4 }: { width4: number }): string {
  return wgsl`
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> gate: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> up: array<vec4f>;
${planRows('all')}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= ${width4}u || id.y >= rowCount()) { return; }
  let at = id.y * ${width4}u + id.x;
  let g = gate[at];
  // The exponent is limited as in silu.
  let sigma = vec4f(1.0) / (vec4f(1.0) + exp(min(-g, vec4f(80.0))));
  gate[at] = dy[at] * up[at] * sigma * (vec4f(1.0) + g * (vec4f(1.0) - sigma));
  up[at] = dy[at] * g * sigma;
}
`
}
