import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { planRows } from './snippets/plan.js'
import { stepSettings } from './snippets/step-settings.js'

export interface ChannelGatesBackwardOptions {
  d: number
  d4: number
  sublayers: number
  capacity: number
}

/**
 * Gradients of y = x + kept · g ⊙ branch with g = sigmoid(v), and of the penalty coefficient · mean(g²) over sublayers, rows and channels:
 * dBranch = kept · g ⊙ dy in the place of branch, and in the place of g
 * dv = (kept · branch ⊙ dy + 2 coefficient / (sublayers rows d) · g) ⊙ g ⊙ (1 − g). Decisions are constants, and dx is dy.
 *
 *   plan      u32, read
 *   settings  see snippets/step-settings.ts
 *   dy        f32 [capacity, d4] of four
 *   kept      f32 [sublayers, capacity], at params.sublayer: 1 or 0
 *   gates     f32 [capacity, d4] of four: g, then dv
 *   branch    f32 [capacity, d4] of four, read and written
 *
 * Dispatch: (ceil(d4 / 64), rows, 1) groups of 64.
 */
export function channelGatesBackwardShader({ d, d4, sublayers, capacity }: ChannelGatesBackwardOptions): string {
  return wgsl`
${stepSettings}
struct Params { sublayer: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> settings: StepSettings;
@group(0) @binding(2) var<storage, read> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read> kept: array<f32>;
@group(0) @binding(4) var<storage, read_write> gates: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> branch: array<vec4f>;
@group(0) @binding(6) var<uniform> params: Params;
${planRows('all')}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let rows = rowCount();
  if (id.x >= ${d4}u || id.y >= rows) { return; }
  let at = id.y * ${d4}u + id.x;
  let through = kept[params.sublayer * ${capacity}u + id.y] * dy[at];
  let pull = 2.0 * settings.share * settings.coefficient / (f32(rows) * ${sublayers * d}.0);
  let g = gates[at];
  gates[at] = (through * branch[at] + pull * g) * g * (vec4f(1.0) - g);
  branch[at] = through * g;
}
`
}
