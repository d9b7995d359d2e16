import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { type MatvecForm, matvecBody, matvecDeclarations } from './snippets/matvec.js'
import { eps, normalisedInput } from './snippets/norm.js'
import { unroll, workgroupReduce } from './snippets/reduce.js'
import type { WeightDtype } from './snippets/weights.js'

export interface QkvDecodeOptions {
  d: number
  k4: number
  heads: number
  kvHeads: number
  headDim: number
  eps: number
  bias: boolean
  qkNorm: boolean
  dtype: WeightDtype
  /** Whether queries obey an execute word (routed attention), or always run. */
  predicated: boolean
  form: MatvecForm
}

/**
 * One token through RMSNorm, the Q, K and V projections, bias, QK norm (Qwen3) and RoPE, with K and V appended to the
 * cache. Keys and values are always written; queries only where attention runs.
 *
 *   plan     u32, read     start = the token's position; slot[0] = execute word of this attention
 *   x        f32 [d]       residual stream
 *   weights  [(heads + 2 kvHeads) headDim, k4] of four: rows of Q, then K, then V
 *   vectors  f32           norm weights at params.norm, biases at params.bias, QK norm weights at params.qkNorm (units of 4)
 *   rope     f32 [context, headDim]   cos of the first half, sin of the second, per position
 *   kv       f32 [context, 2 kvHeads headDim]   K row then V row per position, written
 *   q        f32 [heads headDim], written
 *
 * Dispatch: (heads + 2 kvHeads, 1, 1) groups: one head each, so that a head's norm and rotation stay in the group.
 */
export function qkvDecodeShader(o: QkvDecodeOptions): string {
  const slots = o.form.workgroup / o.form.lanes
  const perSlot = Math.ceil(o.headDim / slots)
  const half = o.headDim / 2
  return wgsl`
struct Params { slot: u32, norm: u32, bias: u32, qkNorm: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
${matvecDeclarations({ form: o.form, k4: o.k4, dtype: o.dtype, binding: 2 })}
@group(0) @binding(3) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(4) var<storage, read> rope: array<f32>;
@group(0) @binding(5) var<storage, read_write> kv: array<f32>;
@group(0) @binding(6) var<storage, read_write> q: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;
${workgroupReduce(o.form.workgroup, ['sum'])}
fn rowStart() -> u32 { return 0u; }
${normalisedInput({ d: o.d, d4: o.k4, eps: o.eps, workgroup: o.form.workgroup })}
fn vectorAt(start: u32, i: u32) -> f32 { return vectors[start + i / 4u][i % 4u]; }
var<workgroup> head: array<f32, ${o.headDim}>;

@compute @workgroup_size(${o.form.workgroup})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  if (plan[0] == 0u) { return; }
  let index = group.x;
  let isQuery = index < ${o.heads}u;
  #if ${o.predicated}
  if (isQuery && plan[params.slot] == 0u) { return; }
  #endif
  measure(lane);
  let slot = lane / ${o.form.lanes}u;
  ${matvecBody({
    form: o.form,
    k4: o.k4,
    count: perSlot,
    row: (i) => `index * ${o.headDim}u + min(slot + ${i * slots}u, ${o.headDim - 1}u)`,
  })}
  if (part == 0u) {
    ${unroll(
      perSlot,
      (i) => `if (slot + ${i * slots}u < ${o.headDim}u) {
      head[slot + ${i * slots}u] = sum${i}${o.bias ? ` + vectorAt(params.bias, index * ${o.headDim}u + slot + ${i * slots}u)` : ''};
    }`,
    )}
  }
  workgroupBarrier();

  let isValue = index >= ${o.heads + o.kvHeads}u;
  let position = plan[1];
  #if ${o.qkNorm}
  var squares = 0.0;
  for (var i = lane; i < bound(${o.headDim}u); i += ${o.form.workgroup}u) { squares += head[i] * head[i]; }
  let scale = 1.0 / sqrt(workgroupSum(lane, squares) / ${o.headDim}.0 + ${eps(o.eps)});
  if (!isValue) {
    let weight = params.qkNorm + select(0u, ${Math.ceil(o.headDim / 4)}u, !isQuery);
    for (var i = lane; i < bound(${o.headDim}u); i += ${o.form.workgroup}u) { head[i] *= scale * vectorAt(weight, i); }
  }
  workgroupBarrier();
  #endif
  // Cache row: all K heads, then all V heads; both follow the queries in the weights' row order.
  let cacheRow = position * ${2 * o.kvHeads * o.headDim}u + (index - ${o.heads}u) * ${o.headDim}u;
  if (isValue) {
    for (var i = lane; i < bound(${o.headDim}u); i += ${o.form.workgroup}u) { kv[cacheRow + i] = head[i]; }
    return;
  }
  for (var i = lane; i < bound(${half}u); i += ${o.form.workgroup}u) {
    let c = rope[position * ${o.headDim}u + i];
    let s = rope[position * ${o.headDim}u + ${half}u + i];
    let a = head[i] * c - head[i + ${half}u] * s;
    let b = head[i + ${half}u] * c + head[i] * s;
    if (isQuery) {
      q[index * ${o.headDim}u + i] = a;
      q[index * ${o.headDim}u + ${half}u + i] = b;
    } else {
      kv[cacheRow + i] = a;
      kv[cacheRow + ${half}u + i] = b;
    }
  }
}
`
}
