import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { isHole } from './snippets/hole.js'
import { loopEnd } from './snippets/plan.js'
import { type PromptAttention, promptAttentionBindings } from './snippets/prompt-attention.js'
import { unroll } from './snippets/reduce.js'
import { scoreScale } from './snippets/score-scale.js'

export interface AttentionPrefillOptions extends PromptAttention {
  /**
   * For GPUs: loops over a head's values and over keys are unrolled, so that loads go ahead; CPUs behind WebGPU take minutes to compile that.
   * Queries wait in workgroup memory, which such CPUs have no use for and SwiftShader compiles a store for each word of, to clear it.
   */
  unrolled: boolean
}

const THREADS = 64
/** Keys of a tile. */
const keysOf = (unrolled: boolean) => (unrolled ? 32 : 16)

/** Queries that one group handles: as many as leave room for them in workgroup memory. */
export function queriesPerGroup(headDim: number): 8 | 16 {
  return headDim <= 128 ? 16 : 8
}

/**
 * Causal attention for gathered queries: query i sits at position start + rowAt(i) and sees keys 0 .. that position,
 * skipped tokens' keys included. FlashAttention's order of work (Dao et al. 2022): tiles of keys are scored, turned
 * into weights by online softmax, and applied to the values while running sums stay in registers.
 *
 *   plan  u32, read
 *   q     f32 [capacity, heads headDim], compact rows, already rotated
 *   kv    f32 [context, 2 kvHeads headDim]
 *   out   f32 [capacity, heads headDim], compact rows, written
 *
 * Dispatch: (heads, ceil(rows / queriesPerGroup), 1) groups of 64.
 */
export function attentionPrefillShader(o: AttentionPrefillOptions): string {
  const d4 = o.headDim / 4
  const tile = queriesPerGroup(o.headDim)
  const rowWords4 = (2 * o.kvHeads * o.headDim) / 4
  const values4 = (o.kvHeads * o.headDim) / 4
  const keys = keysOf(o.unrolled)
  // Scores: 8 invocations across keys, 8 across queries.
  const scoredQueries = tile / 8
  const scoredKeys = keys / 8
  // Sums: one column per invocation, so that a value is loaded once for all of its rows.
  const rowStep = Math.floor(THREADS / d4)
  const sumRows = Math.ceil(tile / rowStep)
  const scaled = (query: string, c: string) =>
    `q[(min(firstQuery + ${query}, count - 1u) * ${o.heads}u + head) * ${d4}u + ${c}] * ${scoreScale(o.headDim)}`
  const staged = o.unrolled
  const fill = staged
    ? `for (var i = lane; i < bound(${tile * d4}u); i += ${THREADS}u) { queries[i] = ${scaled(`i / ${d4}u`, `i % ${d4}u`)}; }`
    : unroll(
        scoredQueries,
        (r) =>
          `var own${r}: array<vec4f, ${d4}>; for (var c = 0u; c < bound(${d4}u); c++) { own${r}[c] = ${scaled(`queryLane + ${8 * r}u`, 'c')}; }`,
      )
  return wgsl`
${promptAttentionBindings(o)}
${staged ? `var<workgroup> queries: array<vec4f, ${tile * d4}>;` : ''}
var<workgroup> scores: array<f32, ${tile * keys}>;
var<workgroup> maximum: array<f32, ${tile}>;
var<workgroup> weight: array<f32, ${tile}>;
var<workgroup> kept: array<f32, ${tile}>;

@compute @workgroup_size(${THREADS})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let count = rowCount();
  let firstQuery = group.y * ${tile}u;
  if (firstQuery >= count) { return; }
  let head = group.x;
  let kvColumn = head / ${o.heads / o.kvHeads}u * ${d4}u;
  let lastPosition = plan[1] + rowAt(min(firstQuery + ${tile - 1}u, count - 1u));
  if (lane < ${tile}u) {
    maximum[lane] = -3.0e38;
    weight[lane] = 0.0;
  }
  let keyLane = lane % 8u;
  let queryLane = lane / 8u;
  ${fill}
  ${unroll(scoredQueries, (r) => `let position${r} = plan[1] + rowAt(min(firstQuery + queryLane + ${8 * r}u, count - 1u));`)}
  let column = lane % ${d4}u;
  let rowLane = lane / ${d4}u;
  ${unroll(sumRows, (i) => `let row${i} = min(rowLane + ${i * rowStep}u, ${tile - 1}u); var sum${i} = vec4f();`)}

  for (var first = 0u; first <= lastPosition; first += ${keys}u) {
    workgroupBarrier();
    ${unroll(scoredKeys, (j) => `let key${j} = first + keyLane + ${8 * j}u; let k${j} = min(key${j}, lastPosition) * ${rowWords4}u + kvColumn;`)}
    ${unroll(scoredQueries, (r) => unroll(scoredKeys, (j) => `var s${r}_${j} = vec4f();`))}
    for (var c = 0u; c < ${loopEnd(d4, o.unrolled)}; c++) {
      ${unroll(scoredQueries, (r) => `let q${r} = ${staged ? `queries[(queryLane + ${8 * r}u) * ${d4}u + c]` : `own${r}[c]`};`)}
      ${unroll(scoredKeys, (j) => `{ let k = kv[k${j} + c]; ${unroll(scoredQueries, (r) => `s${r}_${j} = fma(q${r}, k, s${r}_${j});`)} }`)}
    }
    ${unroll(scoredQueries, (r) =>
      unroll(
        scoredKeys,
        (j) =>
          `scores[(queryLane + ${8 * r}u) * ${keys}u + keyLane + ${8 * j}u] = select(-3.0e38, s${r}_${j}.x + s${r}_${j}.y + s${r}_${j}.z + s${r}_${j}.w, key${j} <= position${r}${o.holes ? ` && !(${isHole(`kv[k${j}]`)})` : ''});`,
      ),
    )}
    workgroupBarrier();
    if (lane < ${tile}u) {
      var highest = maximum[lane];
      for (var j = 0u; j < ${loopEnd(keys, o.unrolled)}; j++) { highest = max(highest, scores[lane * ${keys}u + j]); }
      let keep = exp(maximum[lane] - highest);
      var total = weight[lane] * keep;
      for (var j = 0u; j < ${loopEnd(keys, o.unrolled)}; j++) {
        // A masked score lies so far below that its weight is exactly 0: some key is visible to every query.
        let p = exp(scores[lane * ${keys}u + j] - highest);
        scores[lane * ${keys}u + j] = p;
        total += p;
      }
      maximum[lane] = highest;
      weight[lane] = total;
      kept[lane] = keep;
    }
    workgroupBarrier();
    if (rowLane < ${rowStep}u) {
      ${unroll(sumRows, (i) => `sum${i} *= kept[row${i}];`)}
      for (var j = 0u; j < ${o.unrolled ? `${keys}u` : `min(bound(${keys}u), lastPosition + 1u - first)`}; j++) {
        let v = kv[${o.unrolled ? 'min(first + j, lastPosition)' : '(first + j)'} * ${rowWords4}u + ${values4}u + kvColumn + column];
        ${unroll(sumRows, (i) => `sum${i} = fma(vec4f(scores[row${i} * ${keys}u + j]), v, sum${i});`)}
      }
    }
  }
  ${unroll(
    sumRows,
    (i) => `if (rowLane < ${rowStep}u && rowLane + ${i * rowStep}u < ${tile}u && firstQuery + row${i} < count) {
    out[((firstQuery + row${i}) * ${o.heads}u + head) * ${d4}u + column] = sum${i} / weight[row${i}];
  }`,
  )}
}
`
}
