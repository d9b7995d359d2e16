import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { planRows } from './snippets/plan.js'
import { siluOf } from './snippets/silu.js'

/**
 * y = silu(gate) · up where both have to be kept for their gradients (inference combines them inside the product).
 *
 *   plan      u32, read
 *   gate, up  f32 [capacity, width4] of four
 *   y         f32 [capacity, width4] of four, written
 *
 * Dispatch: (ceil(width4 / 64), rows, 1) groups of 64.
 */
export function swigluShader({ width4 }: { width4: number }): string {
  return wgsl`
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> gate: array<vec4f>;
@group(0) @binding(2) var<storage, read> up: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;
${planRows('all')}
${siluOf('vec4f')}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= ${width4}u || id.y >= rowCount()) { return; }
  let at = id.y * ${width4}u + id.x;
  y[at] = silu(gate[at]) * up[at];
}
`
}
