import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { isHole } from './snippets/hole.js'
import { enterQuery, type OneQuery, queryStart } from './snippets/one-query.js'
import { loopBound } from './snippets/plan.js'
import { unroll, workgroupReduce } from './snippets/reduce.js'
import { scoreScale } from './snippets/score-scale.js'
import { type Splits, splitLength } from './snippets/splits.js'

export interface AttentionDecodeOptions extends OneQuery {
  heads: number
  kvHeads: number
  headDim: number
  splits: Splits
  /** Rows of a batch, each with a cache of its own, instead of one query. */
  batch?: AttentionBatch
  /** Positions that are holes (snippets/hole.ts) are not seen. */
  holes?: boolean
}

export type AttentionBatch = NonNullable<OneQuery['batch']> & {
  /** Rows that a dispatch serves. */
  readonly caches: number
  /** Values from one row to the next one of splitSums. */
  readonly sumsStride: number
}

/** Bindings of the caches, the first of which is that of one query. */
const CACHE_BINDINGS = [2, 6, 7, 8]

/** Caches that a dispatch can bind beside what else it needs, within the eight storage buffers that every device has. */
export const MOST_CACHES = CACHE_BINDINGS.length

/** Values that an invocation loads at a time. */
const VALUES_AHEAD = 4

/**
 * Attention of one query over the cache on a GPU, split over the context: each group takes a head and one part of the
 * positions and leaves unnormalised sums with their running maxima and weights (online softmax, Milakov & Gimelshein
 * 2018; the split of Flash-Decoding). `attention-output` combines the parts.
 *
 *   plan     u32, read      start = the query's position; slot[0] = execute word
 *   q        f32 [heads, headDim]
 *   kv       f32 [context, 2 kvHeads headDim]
 *   splitSums  f32 [heads, splits, headDim] sums, then [heads, splits, 2] (maximum, weight); written
 *   z        f32, read, for margins only: z[params.z] >= 0 executes, in a batch that of the row
 *
 * In a batch, cache c of a dispatch is bound to row params.rows[c]; q and splitSums have all rows, and the plan their positions.
 *
 * A tile of positions is scored with one invocation to a position, then applied to the values with one column of every
 * parts-th position, loaded ahead.
 *
 * Dispatch: (heads, parts that the longest context of the submit needs, caches) groups of `splits.tile`.
 */
export function attentionDecodeShader(o: AttentionDecodeOptions): string {
  const d4 = o.headDim / 4
  const parts = Math.max(1, Math.floor(o.splits.tile / d4))
  const rowWords4 = (2 * o.kvHeads * o.headDim) / 4
  const { most, tile } = o.splits
  const { batch } = o
  const caches = batch?.caches ?? 1
  const valueAt = (kv: string, j: string) =>
    `${kv}[(first + ${j}) * ${rowWords4}u + ${(o.kvHeads * o.headDim) / 4}u + kvColumn + column]`
  const sumsAt = batch ? `row * ${batch.sumsStride}u + ` : ''
  const attend = (kv: string) => `
  let begin = group.y * splitLength(length);
  if (begin >= length) { return; }
  let end = min(begin + splitLength(length), length);
  let head = group.x;
  let kvColumn = head / ${o.heads / o.kvHeads}u * ${d4}u;
  for (var i = lane; i < bound(${d4}u); i += ${tile}u) { query[i] = q[${queryStart(o)}head * ${d4}u + i]; }
  workgroupBarrier();

  let part = lane / ${d4}u;
  let column = lane % ${d4}u;
  var sum = vec4f();
  var maximum = -3.0e38;
  var weight = 0.0;
  for (var first = begin; first < end; first += ${tile}u) {
    let position = first + lane;
    let at = min(position, end - 1u) * ${rowWords4}u + kvColumn;
    var dots = vec4f();
    for (var i = 0u; i < ${d4}u; i++) { dots = fma(query[i], ${kv}[at + i], dots); }
    let count = min(${tile}u, end - first);
    let score = select(-3.0e38, (dots.x + dots.y + dots.z + dots.w) * ${scoreScale(o.headDim)}, position < end${o.holes ? ` && !(${isHole(`${kv}[at]`)})` : ''});
    let next = max(maximum, workgroupMax(lane, score));
    let kept = exp(maximum - next);
    let p = select(0.0, exp(score - next), position < end);
    scores[lane] = p;
    weight = weight * kept + p;
    sum *= kept;
    maximum = next;
    workgroupBarrier();
    if (part < ${parts}u) {
      for (var j = part; j < count; j += ${parts * VALUES_AHEAD}u) {
        ${unroll(VALUES_AHEAD, (s) => `let j${s} = min(j + ${s * parts}u, count - 1u); let v${s} = ${valueAt(kv, `j${s}`)};`)}
        ${unroll(VALUES_AHEAD, (s) => `sum = fma(vec4f(select(0.0, scores[j${s}], j + ${s * parts}u < count)), v${s}, sum);`)}
      }
    }
  }
  workgroupBarrier();
  if (part < ${parts}u) {
    let cell = part * ${o.headDim}u + column * 4u;
    ${unroll(4, (c) => `scores[cell + ${c}u] = sum.${'xyzw'[c]};`)}
  }
  let total = workgroupSum(lane, weight);
  let cell = head * ${most}u + group.y;
  for (var i = lane; i < ${o.headDim}u; i += ${tile}u) {
    var value = 0.0;
    for (var j = 0u; j < bound(${parts}u); j++) { value += scores[j * ${o.headDim}u + i]; }
    splitSums[${sumsAt}cell * ${o.headDim}u + i] = value;
  }
  if (lane == 0u) {
    let stats = ${sumsAt}${o.heads * most * o.headDim}u + cell * 2u;
    splitSums[stats] = maximum;
    splitSums[stats + 1u] = total;
  }`
  const names = Array.from({ length: caches }, (_, c) => `kv${c}`)
  return wgsl`
struct Params { slot: u32, z: u32, ${batch ? 'rows: vec4u' : ''} }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
${unroll(caches, (c) => `@group(0) @binding(${CACHE_BINDINGS[c]}) var<storage, read> ${names[c]}: array<vec4f>;`)}
@group(0) @binding(3) var<storage, read_write> splitSums: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;
#if ${o.obeys === 'margin'}
@group(0) @binding(5) var<storage, read> z: array<f32>;
#endif
${splitLength(o.splits)}
${loopBound}
var<workgroup> query: array<vec4f, ${d4}>;
// Of a tile of positions, and at the end of the parts' sums.
var<workgroup> scores: array<f32, ${Math.max(tile, parts * o.headDim)}>;
${workgroupReduce(tile, ['sum', 'max'])}

@compute @workgroup_size(${tile})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  ${enterQuery(o, 'params.rows[group.z]')}
  ${
    caches === 1
      ? attend('kv0')
      : `switch (group.z) {
  ${names.map((kv, c) => `${c + 1 < caches ? `case ${c}u` : 'default'}: {${attend(kv)}\n}`).join('\n')}
  }`
  }
}
`
}
