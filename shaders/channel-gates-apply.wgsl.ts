import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { planRows } from './snippets/plan.js'

/**
 * A sublayer that is gated by channel, y = x + kept · gates ⊙ branch, computed for every row.
 *
 *   plan    u32, read
 *   x       f32 [capacity, d4] of four
 *   kept    f32 [sublayers, capacity], at params.sublayer: 1 or 0
 *   gates   f32 [capacity, d4] of four
 *   branch  f32 [capacity, d4] of four, the sublayer's output
 *   y       f32 [capacity, d4] of four, written
 *
 * Dispatch: (ceil(d4 / 64), rows, 1) groups of 64.
 */
export function channelGatesApplyShader({ d4, capacity }: { d4: number; capacity: number }): string {
  return wgsl`
struct Params { sublayer: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> kept: array<f32>;
@group(0) @binding(3) var<storage, read> gates: array<vec4f>;
@group(0) @binding(4) var<storage, read> branch: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(6) var<uniform> params: Params;
${planRows('all')}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= ${d4}u || id.y >= rowCount()) { return; }
  let at = id.y * ${d4}u + id.x;
  y[at] = x[at] + kept[params.sublayer * ${capacity}u + id.y] * gates[at] * branch[at];
}
`
}
