import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { loopBound, type Positions, planRows, positionOf, type Rows } from './snippets/plan.js'
import { headScale, ropePair } from './snippets/rope-pair.js'

export interface RopeRowsOptions {
  heads: number
  kvHeads: number
  headDim: number
  eps: number
  qkNorm: boolean
  rows: Rows
  /** Queries are turned in place; keys are turned and values copied into the cache. */
  target: 'query' | 'key-value'
  positions: Positions
  /** Values between rows of queries; by default they have nothing between them. */
  stride?: number
}

/**
 * QK norm (Qwen3) and rotate-half RoPE (Su et al. 2021) for the rows of a chunk at their original positions.
 *
 *   plan     u32, read
 *   rope     f32 [context, headDim]   cos of the first half, sin of the second, per position
 *   vectors  f32, QK norm weights at params.norm (units of 4)
 *   query:      out  f32 [capacity, heads headDim], row i at the position of row rowAt(i), read and written
 *   key-value:  source f32 [capacity, 2 kvHeads headDim]; out f32 [context, 2 kvHeads headDim], the cache, written
 *
 * Dispatch: (heads, ceil(rows / 64), 1) groups of 64 for queries, (2 kvHeads, ..) for keys and values: one invocation
 * per row and head.
 */
export function ropeRowsShader(o: RopeRowsOptions): string {
  const half = o.headDim / 2
  const isQuery = o.target === 'query'
  const stride = isQuery ? (o.stride ?? o.heads * o.headDim) : 2 * o.kvHeads * o.headDim
  const pair = { ...o, source: isQuery ? 'out' : 'source' }
  return wgsl`
struct Params { slot: u32, norm: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> rope: array<f32>;
@group(0) @binding(2) var<storage, read> vectors: array<vec4f>;
#if ${!isQuery}
@group(0) @binding(3) var<storage, read> source: array<f32>;
#endif
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;
${planRows(o.rows)}
${positionOf(o.positions)}
${loopBound}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = group.y * 64u + lane;
  if (i >= rowCount()) { return; }
  let head = group.x;
  let position = positionOf(rowAt(i));
  let origin = i * ${stride}u + head * ${o.headDim}u;
  let place = ${isQuery ? 'origin' : `position * ${stride}u + head * ${o.headDim}u`};
  #if ${!isQuery}
  if (head >= ${o.kvHeads}u) {
    for (var c = 0u; c < bound(${o.headDim}u); c++) { out[place + c] = source[origin + c]; }
    return;
  }
  #endif
  ${headScale(pair)}
  for (var c = 0u; c < bound(${half}u); c++) {
    ${ropePair(pair)}
    out[place + c] = a * cosine - b * sine;
    out[place + ${half}u + c] = b * cosine + a * sine;
  }
}
`
}
