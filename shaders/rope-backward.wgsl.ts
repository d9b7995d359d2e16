import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { eps } from './snippets/norm.js'
import { loopBound, type Positions, planRows, positionOf } from './snippets/plan.js'

export interface RopeBackwardOptions {
  heads: number
  headDim: number
  eps: number
  qkNorm: boolean
  positions: Positions
  /** Values between rows, of which the first heads · headDim are turned. */
  stride: number
}

/**
 * Gradient of what rope-rows does to queries or keys, in place: turned back by the angle of the row, then through the head's RMSNorm (Qwen3).
 *
 *   plan     u32, read
 *   rope     f32 [context, headDim]   cos of the first half, sin of the second, per position
 *   vectors  f32, QK norm weights at params.norm (units of 4)
 *   source   f32 [capacity, stride]   with QK norm only: what rope-rows was given
 *   dx       f32 [capacity, stride], read and written
 *
 * Dispatch: (heads, ceil(rows / 64), 1) groups of 64: one invocation per row and head.
 */
export function ropeBackwardShader(o: RopeBackwardOptions): string {
  const half = o.headDim / 2
  return wgsl`
struct Params { norm: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> rope: array<f32>;
@group(0) @binding(2) var<storage, read> vectors: array<vec4f>;
#if ${o.qkNorm}
@group(0) @binding(3) var<storage, read> source: array<f32>;
#endif
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;
${planRows('all')}
${positionOf(o.positions)}
${loopBound}
fn normWeight(c: u32) -> f32 { return vectors[params.norm + c / 4u][c % 4u]; }

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.y * 64u + lane;
  if (row >= rowCount()) { return; }
  let angles = positionOf(row) * ${o.headDim}u;
  let origin = row * ${o.stride}u + group.x * ${o.headDim}u;
  for (var c = 0u; c < bound(${half}u); c++) {
    let a = dx[origin + c];
    let b = dx[origin + ${half}u + c];
    let cosine = rope[angles + c];
    let sine = rope[angles + ${half}u + c];
    dx[origin + c] = a * cosine + b * sine;
    dx[origin + ${half}u + c] = b * cosine - a * sine;
  }
  #if ${o.qkNorm}
  var squares = 0.0;
  var products = 0.0;
  for (var c = 0u; c < bound(${o.headDim}u); c++) {
    let v = source[origin + c];
    squares = fma(v, v, squares);
    products = fma(v * normWeight(c), dx[origin + c], products);
  }
  let scale = 1.0 / sqrt(squares / ${o.headDim}.0 + ${eps(o.eps)});
  let along = products * scale * scale * scale / ${o.headDim}.0;
  for (var c = 0u; c < bound(${o.headDim}u); c++) {
    dx[origin + c] = scale * normWeight(c) * dx[origin + c] - along * source[origin + c];
  }
  #endif
}
`
}
