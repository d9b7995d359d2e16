import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { planRows } from './snippets/plan.js'
import { stepSettings } from './snippets/step-settings.js'

/**
 * Straight-through Gumbel-softmax over a router's two logits (Jang et al. 2017; 0 = execute, 1 = skip), forward: the gate is 1 where
 * r0 + n0 >= r1 + n1, else 0, and its soft form, sigmoid of the difference over tau, is kept for the gradient. Without noise: arg-max.
 *
 *   plan        u32, read
 *   settings    see snippets/step-settings.ts
 *   logits      f32 [capacity, 2], without bias
 *   parameters  f32, the bias at params.bias
 *   noise       f32 [sublayers, capacity, 2]
 *   gates, soft f32 [sublayers, capacity], written at params.sublayer
 *
 * Dispatch: (ceil(rows / 64), 1, 1) groups of 64.
 */
export function gateSampleShader({ capacity }: { capacity: number }): string {
  return wgsl`
${stepSettings}
struct Params { sublayer: u32, bias: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> settings: StepSettings;
@group(0) @binding(2) var<storage, read> logits: array<f32>;
@group(0) @binding(3) var<storage, read> parameters: array<f32>;
@group(0) @binding(4) var<storage, read> noise: array<f32>;
@group(0) @binding(5) var<storage, read_write> gates: array<f32>;
@group(0) @binding(6) var<storage, read_write> soft: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;
${planRows('all')}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x;
  if (row >= rowCount()) { return; }
  let at = params.sublayer * ${capacity}u + row;
  let run = logits[2u * row] + parameters[params.bias] + noise[2u * at];
  let skip = logits[2u * row + 1u] + parameters[params.bias + 1u] + noise[2u * at + 1u];
  let z = run - skip;
  gates[at] = select(0.0, 1.0, z >= 0.0);
  soft[at] = 1.0 / (1.0 + exp(min(-z / settings.tau, 80.0)));
}
`
}
