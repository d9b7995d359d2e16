import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { loopBound } from './snippets/plan.js'
import { unroll } from './snippets/reduce.js'
import { headScale, ropePair } from './snippets/rope-pair.js'

export interface AppendRowsOptions {
  kvHeads: number
  headDim: number
  eps: number
  qkNorm: boolean
  /** Rows that a dispatch serves. */
  caches: number
  /** Of the plan's positions. */
  firstWord: number
  /** Values from one row of the source to the next one. */
  stride: number
}

/**
 * What rope-rows does with keys and values, for rows of a batch, each of which has a cache of its own: QK norm (Qwen3) and rotate-half RoPE (Su
 * et al. 2021) of the key, and the value as it is, at the row's position.
 *
 *   plan     u32, read                 position of each row from firstWord on
 *   rope     f32 [context, headDim]    cos of the first half, sin of the second, per position
 *   vectors  f32, norm weights of K at params.norm (units of 4)
 *   source   f32 [rows, stride], of which [2 kvHeads, headDim] are used; row params.rows[c] goes to cache c
 *   kv{c}    f32 [context, 2 kvHeads headDim], written
 *
 * Dispatch: (2 kvHeads, caches, 1) groups of 64: an invocation takes every 64th pair of a head's values.
 */
export function appendRowsShader(o: AppendRowsOptions): string {
  const half = o.headDim / 2
  const pair = { ...o, source: 'source' }
  return wgsl`
struct Params { norm: u32, rows: vec4u }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> rope: array<f32>;
@group(0) @binding(2) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(3) var<storage, read> source: array<f32>;
${unroll(o.caches, (c) => `@group(0) @binding(${5 + c}) var<storage, read_write> kv${c}: array<f32>;`)}
@group(0) @binding(4) var<uniform> params: Params;
${loopBound}
fn put(cache: u32, at: u32, value: f32) {
  switch (cache) {
    ${unroll(o.caches, (c) => `${c + 1 < o.caches ? `case ${c}u` : 'default'}: { kv${c}[at] = value; }`)}
  }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let head = group.x;
  let cache = group.y;
  let row = params.rows[cache];
  let position = plan[${o.firstWord}u + row];
  let origin = row * ${o.stride}u + head * ${o.headDim}u;
  let place = position * ${2 * o.kvHeads * o.headDim}u + head * ${o.headDim}u;
  if (head >= ${o.kvHeads}u) {
    for (var c = lane; c < bound(${o.headDim}u); c += 64u) { put(cache, place + c, source[origin + c]); }
    return;
  }
  ${headScale(pair)}
  for (var c = lane; c < bound(${half}u); c += 64u) {
    ${ropePair(pair)}
    put(cache, place + c, a * cosine - b * sine);
    put(cache, place + ${half}u + c, b * cosine + a * sine);
  }
}
`
}
