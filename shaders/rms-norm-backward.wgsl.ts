import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import type { RmsNormOptions } from './rms-norm.wgsl.js'
import { eps } from './snippets/norm.js'
import { loopBound, planRows } from './snippets/plan.js'
import { workgroupReduce } from './snippets/reduce.js'

/**
 * Input gradient of RMSNorm with frozen weights g, added to what is there (the gradient that bypasses the sublayer):
 * dx += s g dy − x s³ / d · Σ x g dy, with s = 1 / rms(x).
 *
 *   plan     u32, read
 *   x        f32 [capacity, d]
 *   vectors  f32, norm weights at params.norm (units of 4)
 *   dy       f32 [capacity, d]
 *   dx       f32 [capacity, d], read and written
 *
 * Dispatch: (rows, 1, 1) groups of 64.
 */
export function rmsNormBackwardShader(o: Omit<RmsNormOptions, 'rows' | 'lanes'>): string {
  return wgsl`
struct Params { norm: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(3) var<storage, read> dy: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> dx: array<vec4f>;
@group(0) @binding(5) var<uniform> params: Params;
${planRows('all')}
${loopBound}
${workgroupReduce(64, ['sum'])}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  if (group.x >= rowCount()) { return; }
  let row = group.x * ${o.d4}u;
  var squares = 0.0;
  var products = 0.0;
  for (var i = lane; i < bound(${o.d4}u); i += 64u) {
    let v = x[row + i];
    squares += dot(v, v);
    products += dot(v * vectors[params.norm + i], dy[row + i]);
  }
  let scale = 1.0 / sqrt(workgroupSum(lane, squares) / ${o.d}.0 + ${eps(o.eps)});
  workgroupBarrier();
  let along = workgroupSum(lane, products) * scale * scale * scale / ${o.d}.0;
  for (var i = lane; i < bound(${o.d4}u); i += 64u) {
    dx[row + i] += scale * vectors[params.norm + i] * dy[row + i] - along * x[row + i];
  }
}
`
}
