import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { loopBound } from './snippets/plan.js'
import { workgroupReduce } from './snippets/reduce.js'

export interface CompareStatesOptions {
  /** vec4s of a row. */
  d4: number
  /** Comparisons of a row. */
  count: number
  /** Add to what is there. */
  accumulates: boolean
}

/**
 * How much states changed since they were last compared: the cosine of a row before and now, and the ratio of its norms, now to before. What
 * was before becomes what is now.
 *
 *   plan    u32, read
 *   x       f32 [capacity, 4 d4], read; padding is 0
 *   before  f32 [capacity, 4 d4], changed to x
 *   out     vec2f [capacity, count], written, or added to, at params.index: cosine, ratio of norms
 *
 * Products of norms below 1e-8, and norms below that, count as 1e-8. Dispatch: (rows, 1, 1) groups of 64.
 */
export function compareStatesShader(o: CompareStatesOptions): string {
  return wgsl`
struct Params { index: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> before: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> out: array<vec2f>;
@group(0) @binding(4) var<uniform> params: Params;
${loopBound}
${workgroupReduce(64, ['sum'])}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  if (group.x >= plan[0]) { return; }
  let row = group.x * ${o.d4}u;
  var products = 0.0;
  var squaresBefore = 0.0;
  var squaresNow = 0.0;
  for (var i = lane; i < bound(${o.d4}u); i += 64u) {
    let a = before[row + i];
    let b = x[row + i];
    products += dot(a, b);
    squaresBefore += dot(a, a);
    squaresNow += dot(b, b);
    before[row + i] = b;
  }
  let product = workgroupSum(lane, products);
  let normBefore = sqrt(workgroupSum(lane, squaresBefore));
  let normNow = sqrt(workgroupSum(lane, squaresNow));
  if (lane == 0u) {
    let cosine = product / max(normBefore * normNow, 1e-8);
    out[group.x * ${o.count}u + params.index] ${o.accumulates ? '+=' : '='} vec2f(cosine, normNow / max(normBefore, 1e-8));
  }
}
`
}
