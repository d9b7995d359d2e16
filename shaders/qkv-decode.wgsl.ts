import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { type Matvec, type MatvecForm, matvec } from './snippets/matvec.js'
import { eps } from './snippets/norm.js'
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
  /** Whether queries are always made, obey an execute word (routed attention), or never (its attention is left out). */
  queries: 'always' | 'word' | 'never'
  form: MatvecForm
}

/** Pairs of values that a slot makes; `rowsPerSlot` counts single rows. */
const pairsPerSlot = (form: MatvecForm) => Math.max(1, form.rowsPerSlot / 2)

export function qkvGroups({ heads, kvHeads, headDim, qkNorm, queries, form }: QkvDecodeOptions): number {
  const all = (queries === 'never' ? 0 : heads) + 2 * kvHeads
  return qkNorm ? all : Math.ceil((all * headDim) / 2 / ((form.workgroup / form.lanes) * pairsPerSlot(form)))
}

/**
 * One token through RMSNorm, the Q, K and V projections, bias, QK norm (Qwen3) and RoPE, with K and V appended to the
 * cache. Keys and values are always written; queries only where attention runs.
 *
 *   plan     u32, read     start = the token's position; slot[0] = execute word of this attention
 *   x        f32 [d]       residual stream, normalised already where the form says so
 *   weights  [(heads + 2 kvHeads) headDim, k4] of four: rows of Q, then K, then V
 *   vectors  f32           norm weights at params.norm, biases at params.bias, QK norm weights at params.qkNorm (units of 4)
 *   rope     f32 [context, headDim]   cos of the first half, sin of the second, per position
 *   kv       f32 [context, 2 kvHeads headDim]   K row then V row per position, written
 *   q        f32 [heads headDim], written; not bound where queries are never made
 *
 * Dispatch: (qkvGroups, 1, 1) groups: pairs of values, i and i + headDim / 2 of a head, so that a rotation stays in the invocation; or with QK
 * norm one head each, so that the norm stays in the group.
 */
export function qkvDecodeShader(o: QkvDecodeOptions): string {
  return o.qkNorm ? headsShader(o) : pairsShader(o)
}

function module({ queries }: QkvDecodeOptions, product: Matvec, code: string): string {
  return wgsl`
${product.extensions}
struct Params { slot: u32, norm: u32, bias: u32, qkNorm: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
${product.declarations}
@group(0) @binding(3) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(4) var<storage, read> rope: array<f32>;
@group(0) @binding(5) var<storage, read_write> kv: array<f32>;
${queries === 'never' ? '' : '@group(0) @binding(6) var<storage, read_write> q: array<f32>;'}
@group(0) @binding(7) var<uniform> params: Params;
fn rowStart() -> u32 { return 0u; }
fn vectorAt(start: u32, i: u32) -> f32 { return vectors[start + i / 4u][i % 4u]; }
${code}
`
}

function pairsShader(o: QkvDecodeOptions): string {
  const { form } = o
  const half = o.headDim / 2
  const pairs = pairsPerSlot(form)
  const slots = form.workgroup / form.lanes
  const all = (o.heads + 2 * o.kvHeads) * half
  const product = matvec({
    form,
    k4: o.k4,
    dtype: o.dtype,
    count: 2 * pairs,
    row: (i) => `row${i >> 1}${i % 2 === 0 ? '' : ` + ${half}u`}`,
    input: { norm: { d: o.d, eps: o.eps } },
  })
  const value = (i: number, row: string) => `sum${i}${o.bias ? ` + vectorAt(params.bias, ${row})` : ''}`
  return module(
    o,
    product,
    `
@compute @workgroup_size(${form.workgroup})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32${product.parameters}) {
  if (plan[0] == 0u) { return; }
  let firstPair = group.x * ${slots * pairs}u${o.queries === 'never' ? ` + ${o.heads * half}u` : ''};
  ${o.queries === 'word' ? `if (firstPair + ${slots * pairs}u <= ${o.heads * half}u && plan[params.slot] == 0u) { return; }` : ''}
  let slot = lane / ${form.lanes}u;
  ${unroll(
    pairs,
    (i) => `let pair${i} = firstPair + slot + ${i * slots}u;
  let known${i} = min(pair${i}, ${all - 1}u);
  let row${i} = known${i} / ${half}u * ${o.headDim}u + known${i} % ${half}u;`,
  )}
  ${product.body}
  if (${product.holds}) {
    let position = plan[1];
    ${unroll(
      pairs,
      (i) => `if (pair${i} < ${all}u) {
      let i = row${i} % ${o.headDim}u;
      let a = ${value(2 * i, `row${i}`)};
      let b = ${value(2 * i + 1, `row${i} + ${half}u`)};
      let c = rope[position * ${o.headDim}u + i];
      let s = rope[position * ${o.headDim}u + ${half}u + i];
      // Cache row: all K heads, then all V heads; both follow the queries in the weights' row order.
      let at = position * ${2 * o.kvHeads * o.headDim}u + row${i} - ${o.heads * o.headDim}u;
      ${queryPair(o, `row${i}`)}
      if (row${i} < ${(o.heads + o.kvHeads) * o.headDim}u) {
        kv[at] = a * c - b * s;
        kv[at + ${half}u] = b * c + a * s;
      } else {
        kv[at] = a;
        kv[at + ${half}u] = b;
      }
    }`,
    )}
  }
}`,
  )
}

/** Writes a turned pair where it belongs to a query, and goes on with an `else`, behind which a line ends: shader texts lose their blanks. */
function queryPair({ queries, heads, headDim }: QkvDecodeOptions, row: string): string {
  if (queries === 'never') return ''
  return `if (${row} < ${heads * headDim}u) {
        ${queries === 'word' ? 'if (plan[params.slot] != 0u)' : ''} {
          q[${row}] = a * c - b * s;
          q[${row} + ${headDim / 2}u] = b * c + a * s;
        }
      } else`
}

function headsShader(o: QkvDecodeOptions): string {
  const { form } = o
  const { workgroup } = form
  const slots = workgroup / form.lanes
  const perSlot = Math.ceil(o.headDim / slots)
  const half = o.headDim / 2
  const product = matvec({
    form,
    k4: o.k4,
    dtype: o.dtype,
    count: perSlot,
    row: (i) => `index * ${o.headDim}u + min(slot + ${i * slots}u, ${o.headDim - 1}u)`,
    input: { norm: { d: o.d, eps: o.eps } },
  })
  return module(
    o,
    product,
    wgsl`
${workgroupReduce(workgroup, ['sum'])}
var<workgroup> head: array<f32, ${o.headDim}>;

@compute @workgroup_size(${workgroup})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32${product.parameters}) {
  if (plan[0] == 0u) { return; }
  let index = group.x${o.queries === 'never' ? ` + ${o.heads}u` : ''};
  let isQuery = index < ${o.heads}u;
  #if ${o.queries === 'word'}
  if (isQuery && plan[params.slot] == 0u) { return; }
  #endif
  let slot = lane / ${form.lanes}u;
  ${product.body}
  if (${product.holds}) {
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
  var headSquares = 0.0;
  for (var i = lane; i < bound(${o.headDim}u); i += ${workgroup}u) { headSquares += head[i] * head[i]; }
  let scale = 1.0 / sqrt(workgroupSum(lane, headSquares) / ${o.headDim}.0 + ${eps(o.eps)});
  if (!isValue) {
    let weight = params.qkNorm + select(0u, ${Math.ceil(o.headDim / 4)}u, !isQuery);
    for (var i = lane; i < bound(${o.headDim}u); i += ${workgroup}u) { head[i] *= scale * vectorAt(weight, i); }
  }
  workgroupBarrier();
  // Cache row: all K heads, then all V heads; both follow the queries in the weights' row order.
  let cacheRow = position * ${2 * o.kvHeads * o.headDim}u + (index - ${o.heads}u) * ${o.headDim}u;
  if (isValue) {
    for (var i = lane; i < bound(${o.headDim}u); i += ${workgroup}u) { kv[cacheRow + i] = head[i]; }
    return;
  }
  for (var i = lane; i < bound(${half}u); i += ${workgroup}u) {
    let c = rope[position * ${o.headDim}u + i];
    let s = rope[position * ${o.headDim}u + ${half}u + i];
    let a = head[i] * c - head[i + ${half}u] * s;
    let b = head[i + ${half}u] * c + head[i] * s;
    #if ${o.queries !== 'never'}
    if (isQuery) {
      q[index * ${o.headDim}u + i] = a;
      q[index * ${o.headDim}u + ${half}u + i] = b;
      continue;
    }
    #endif
    kv[cacheRow + i] = a;
    kv[cacheRow + ${half}u + i] = b;
  }
}`,
  )
}
