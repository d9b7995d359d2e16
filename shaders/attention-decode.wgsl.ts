import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { loopBound } from './snippets/plan.js'
import { workgroupReduce } from './snippets/reduce.js'
import { SPLIT_TILE, splitLength } from './snippets/splits.js'

export interface AttentionDecodeOptions {
  heads: number
  kvHeads: number
  headDim: number
  splits: number
  predicated: boolean
}

/**
 * Attention of one query over the cache, split over the context: each group takes one head and one part of the
 * positions and leaves an unnormalised sum with its running maximum and weight (online softmax, Milakov & Gimelshein
 * 2018; the split of Flash-Decoding). `attention-output` combines the parts.
 *
 *   plan     u32, read      start = the query's position; slot[0] = execute word
 *   q        f32 [heads, headDim]
 *   kv       f32 [context, 2 kvHeads headDim]
 *   splitSums  f32 [heads, splits, headDim] sums, then [heads, splits, 2] (maximum, weight); written
 *
 * Dispatch: (heads, parts that the longest context of the submit needs, 1) groups of 64.
 */
export function attentionDecodeShader(o: AttentionDecodeOptions): string {
  const d4 = o.headDim / 4
  const parts = Math.max(1, Math.floor(SPLIT_TILE / d4))
  const rowWords4 = (2 * o.kvHeads * o.headDim) / 4
  return wgsl`
struct Params { slot: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> kv: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> splitSums: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;
${workgroupReduce(SPLIT_TILE, ['sum', 'max'])}
${splitLength(o.splits)}
${loopBound}
var<workgroup> query: array<vec4f, ${d4}>;
var<workgroup> share: array<f32, ${SPLIT_TILE}>;
var<workgroup> sums: array<vec4f, ${parts * d4}>;

@compute @workgroup_size(${SPLIT_TILE})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  if (plan[0] == 0u) { return; }
  #if ${o.predicated}
  if (plan[params.slot] == 0u) { return; }
  #endif
  let length = plan[1] + 1u;
  let begin = group.y * splitLength(length);
  if (begin >= length) { return; }
  let end = min(begin + splitLength(length), length);
  let head = group.x;
  let kvHead = head / ${o.heads / o.kvHeads}u;
  for (var i = lane; i < bound(${d4}u); i += ${SPLIT_TILE}u) {
    query[i] = q[head * ${d4}u + i] * ${(1 / Math.sqrt(o.headDim)).toPrecision(9)}f;
  }
  workgroupBarrier();

  let part = lane / ${d4}u;
  let column = lane % ${d4}u;
  var sum = vec4f();
  var maximum = -3.0e38;
  var weight = 0.0;
  for (var first = begin; first < end; first += ${SPLIT_TILE}u) {
    let position = first + lane;
    var score = -3.0e38;
    if (position < end) {
      let row = position * ${rowWords4}u + kvHead * ${d4}u;
      var dots = vec4f();
      for (var i = 0u; i < bound(${d4}u); i++) { dots = fma(query[i], kv[row + i], dots); }
      score = dots.x + dots.y + dots.z + dots.w;
    }
    let next = max(maximum, workgroupMax(lane, score));
    let kept = exp(maximum - next);
    let p = select(0.0, exp(score - next), position < end);
    share[lane] = p;
    weight = weight * kept + workgroupSum(lane, p);
    maximum = next;
    sum *= kept;
    let count = min(${SPLIT_TILE}u, end - first);
    if (part < ${parts}u) {
      for (var j = part; j < count; j += ${parts}u) {
        sum = fma(vec4f(share[j]), kv[(first + j) * ${rowWords4}u + ${(o.kvHeads * o.headDim) / 4}u + kvHead * ${d4}u + column], sum);
      }
    }
  }
  if (part < ${parts}u) { sums[part * ${d4}u + column] = sum; }
  workgroupBarrier();
  let cell = head * ${o.splits}u + group.y;
  for (var i = lane; i < ${d4}u; i += ${SPLIT_TILE}u) {
    var total = vec4f();
    for (var j = 0u; j < bound(${parts}u); j++) { total += sums[j * ${d4}u + i]; }
    for (var c = 0u; c < 4u; c++) { splitSums[cell * ${o.headDim}u + i * 4u + c] = total[c]; }
  }
  if (lane == 0u) {
    let stats = ${o.heads * o.splits * o.headDim}u + cell * 2u;
    splitSums[stats] = maximum;
    splitSums[stats + 1u] = weight;
  }
}
`
}
