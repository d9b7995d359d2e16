import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { isHole } from './snippets/hole.js'
import { loopBound, loopEnd } from './snippets/plan.js'
import { unroll, workgroupReduce } from './snippets/reduce.js'
import { scoreScale } from './snippets/score-scale.js'
import { type Splits, splitLength } from './snippets/splits.js'

export interface AttentionDecodeOptions {
  heads: number
  kvHeads: number
  headDim: number
  splits: Splits
  /** Where the execute word is: nowhere, as all positions attend; in the plan's slot; or in the sign of a margin, where the rows of a batch are decided. */
  obeys: 'nothing' | 'plan' | 'margin'
  /** Rows of a batch, each with a cache of its own, instead of one query. */
  batch?: AttentionBatch
  /** Heads that a group handles; they share their keys and values. Divides heads / kvHeads. */
  headsPerGroup: number
  /** For GPUs: loops over a head's values are unrolled, so that loads go ahead, and the query waits in workgroup memory; CPUs behind WebGPU only compile longer. */
  unrolled: boolean
  /** Positions that are holes (snippets/hole.ts) are not seen. */
  holes?: boolean
}

export interface AttentionBatch {
  /** Rows that a dispatch serves. */
  readonly caches: number
  /** Of the plan's positions. */
  readonly firstWord: number
  /** Values from one row to the next one of q, and of splitSums. */
  readonly queryStride: number
  readonly sumsStride: number
}

/** Bindings of the caches, the first of which is that of one query. */
const CACHE_BINDINGS = [2, 6, 7, 8]

/** Caches that a dispatch can bind beside what else it needs, within the eight storage buffers that every device has. */
export const MOST_CACHES = CACHE_BINDINGS.length

/** Values that an invocation loads at a time. */
const VALUES_AHEAD = 4

/**
 * Attention of one query over the cache, split over the context: each group takes some heads and one part of the
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
 * parts-th position: two barriers a tile.
 *
 * Dispatch: (heads / headsPerGroup, parts that the longest context of the submit needs, caches) groups of `splits.tile`.
 */
export function attentionDecodeShader(o: AttentionDecodeOptions): string {
  const d4 = o.headDim / 4
  const parts = Math.max(1, Math.floor(o.splits.tile / d4))
  const rowWords4 = (2 * o.kvHeads * o.headDim) / 4
  const heads = o.headsPerGroup
  const { most, tile } = o.splits
  const each = (line: (h: number) => string) => unroll(heads, line)
  const { batch } = o
  const caches = batch?.caches ?? 1
  const valueAt = (kv: string, j: string) =>
    `${kv}[(first + ${j}) * ${rowWords4}u + ${(o.kvHeads * o.headDim) / 4}u + kvColumn + column]`
  // GPUs: an invocation makes the weight of its position, and values are loaded ahead.
  const sharedWeights = (kv: string) => `
    ${each(
      (h) => `{
      let next = max(maximum${h}, workgroupMax(lane, score${h}));
      let kept = exp(maximum${h} - next);
      let p = select(0.0, exp(score${h} - next), position < end);
      scores[${h * tile}u + lane] = p;
      weight${h} = weight${h} * kept + p;
      sum${h} *= kept;
      maximum${h} = next;
    }`,
    )}
    workgroupBarrier();
    if (part < ${parts}u) {
      for (var j = part; j < count; j += ${parts * VALUES_AHEAD}u) {
        ${unroll(VALUES_AHEAD, (s) => `let j${s} = min(j + ${s * parts}u, count - 1u); let v${s} = ${valueAt(kv, `j${s}`)};`)}
        ${unroll(VALUES_AHEAD, (s) => each((h) => `sum${h} = fma(vec4f(select(0.0, scores[${h * tile}u + j${s}], j + ${s * parts}u < count)), v${s}, sum${h});`))}
      }
    }`
  // CPUs behind WebGPU: barriers are dearer than making weights again for every column.
  const ownWeights = (kv: string) => `
    ${each((h) => `scores[${h * tile}u + lane] = score${h};`)}
    workgroupBarrier();
    if (part < ${parts}u) {
      ${each((h) => `var next${h} = maximum${h};`)}
      for (var j = 0u; j < count; j++) {
        ${each((h) => `next${h} = max(next${h}, scores[${h * tile}u + j]);`)}
      }
      ${each(
        (h) => `let kept${h} = exp(maximum${h} - next${h});
      sum${h} *= kept${h};
      weight${h} *= kept${h};
      maximum${h} = next${h};`,
      )}
      for (var j = part; j < count; j += ${parts}u) {
        let v = ${valueAt(kv, 'j')};
        ${each(
          (h) => `let p${h} = exp(scores[${h * tile}u + j] - maximum${h});
        weight${h} += p${h};
        sum${h} = fma(vec4f(p${h}), v, sum${h});`,
        )}
      }
    }
    workgroupBarrier();`
  const queryAt = batch ? `row * ${batch.queryStride / 4}u + ` : ''
  // CPUs behind WebGPU have no use for workgroup memory that is only read, and SwiftShader compiles a store for each word of it, to clear it.
  const queryOf = (h: number) =>
    o.unrolled ? `query[${h * d4}u + i]` : `q[${queryAt}(firstHead + ${h}u) * ${d4}u + i]`
  const sumsAt = batch ? `row * ${batch.sumsStride}u + ` : ''
  const attend = (kv: string) => `
  let begin = group.y * splitLength(length);
  if (begin >= length) { return; }
  let end = min(begin + splitLength(length), length);
  let firstHead = group.x * ${heads}u;
  let kvColumn = firstHead / ${o.heads / o.kvHeads}u * ${d4}u;
  ${
    o.unrolled
      ? `for (var i = lane; i < bound(${heads * d4}u); i += ${tile}u) { query[i] = q[${queryAt}firstHead * ${d4}u + i]; }
  workgroupBarrier();`
      : ''
  }

  let part = lane / ${d4}u;
  let column = lane % ${d4}u;
  ${each((h) => `var sum${h} = vec4f(); var maximum${h} = -3.0e38; var weight${h} = 0.0;`)}
  for (var first = begin; first < end; first += ${tile}u) {
    let position = first + lane;
    let at = min(position, end - 1u) * ${rowWords4}u + kvColumn;
    ${each((h) => `var dots${h} = vec4f();`)}
    for (var i = 0u; i < ${loopEnd(d4, o.unrolled)}; i++) {
      let k = ${kv}[at + i];
      ${each((h) => `dots${h} = fma(${queryOf(h)}, k, dots${h});`)}
    }
    let count = min(${tile}u, end - first);
    ${each((h) => `let score${h} = select(-3.0e38, (dots${h}.x + dots${h}.y + dots${h}.z + dots${h}.w) * ${scoreScale(o.headDim)}, position < end${o.holes ? ` && !(${isHole(`${kv}[at]`)})` : ''});`)}
    ${o.unrolled ? sharedWeights(kv) : ownWeights(kv)}
  }
  ${o.unrolled ? 'workgroupBarrier();' : ''}
  ${each(
    (h) => `{
    if (part < ${parts}u) {
      let cell = part * ${o.headDim}u + column * 4u;
      ${unroll(4, (c) => `scores[cell + ${c}u] = sum${h}.${'xyzw'[c]};`)}
    }
    ${o.unrolled ? `let weight = workgroupSum(lane, weight${h});` : `if (part < ${parts}u && column == 0u) { weights[part] = weight${h}; }\n    workgroupBarrier();`}
    let cell = (firstHead + ${h}u) * ${most}u + group.y;
    for (var i = lane; i < ${o.headDim}u; i += ${tile}u) {
      var total = 0.0;
      for (var j = 0u; j < bound(${parts}u); j++) { total += scores[j * ${o.headDim}u + i]; }
      splitSums[${sumsAt}cell * ${o.headDim}u + i] = total;
    }
    if (lane == 0u) {
      ${o.unrolled ? '' : `var weight = 0.0;\n      for (var j = 0u; j < bound(${parts}u); j++) { weight += weights[j]; }`}
      let stats = ${sumsAt}${o.heads * most * o.headDim}u + cell * 2u;
      splitSums[stats] = maximum${h};
      splitSums[stats + 1u] = weight;
    }
    ${h + 1 < heads ? 'workgroupBarrier();' : ''}
  }`,
  )}`
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
${o.unrolled ? `var<workgroup> query: array<vec4f, ${heads * d4}>;` : ''}
// Of a tile of positions, and at the end of the parts' sums.
var<workgroup> scores: array<f32, ${Math.max(heads * tile, parts * o.headDim)}>;
${o.unrolled ? workgroupReduce(tile, ['sum', 'max']) : `var<workgroup> weights: array<f32, ${parts}>;`}

@compute @workgroup_size(${tile})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  if (plan[0] == 0u) { return; }
  ${batch ? 'let row = params.rows[group.z];' : ''}
  #if ${o.obeys === 'plan'}
  if (plan[params.slot] == 0u) { return; }
  #elif ${o.obeys === 'margin'}
  if (z[params.z + row] < 0.0) { return; }
  #endif
  let length = ${batch ? `plan[${batch.firstWord}u + row]` : 'plan[1]'} + 1u;
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
