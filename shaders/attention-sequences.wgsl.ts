import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { scoreScale } from './snippets/score-scale.js'
import { queryPlace, type SequenceAttentionOptions, sequenceAttention } from './snippets/sequences.js'

/**
 * Causal grouped-query attention within sequences of params.length rows that follow each other, by online softmax. The logarithm of the sum
 * of exponentials is kept, from which the backward kernels get each weight again: no matrix of T × T is ever stored.
 *
 *   plan       u32, read
 *   q          f32 [capacity, heads headDim], turned
 *   kv         f32 [capacity, 2 kvHeads headDim], keys turned, then values
 *   out        f32 [capacity, heads headDim], written
 *   logSumExp  f32 [capacity, heads], written
 *
 * Dispatch: (ceil(rows / 32), heads, 1) groups of 32: one invocation per row, so that a group reads the same keys at the same time.
 */
export function attentionSequencesShader(o: SequenceAttentionOptions): string {
  const shared = sequenceAttention(o)
  const { d4, row4, each, inputs, main } = shared
  return wgsl`
${inputs}
@group(0) @binding(3) var<storage, read_write> out: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> logSumExp: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;
${main}
  ${queryPlace(o, shared)}
  var query: array<vec4f, ${d4}>;
  var sum: array<vec4f, ${d4}>;
  ${each} { query[c] = q[own + c] * ${scoreScale(o.headDim)}; }
  var highest = -3.0e38;
  var weight = 0.0;
  for (var s = row - row % params.length; s <= row; s++) {
    let key = s * ${row4}u + kvColumn;
    let value = key + ${o.kvHeads * d4}u;
    var dots = vec4f();
    ${each} { dots = fma(query[c], kv[key + c], dots); }
    let score = total(dots);
    let next = max(highest, score);
    let keep = exp(highest - next);
    let p = exp(score - next);
    ${each} { sum[c] = fma(vec4f(p), kv[value + c], keep * sum[c]); }
    weight = fma(weight, keep, p);
    highest = next;
  }
  ${each} { out[own + c] = sum[c] / weight; }
  logSumExp[row * ${o.heads}u + head] = highest + log(weight);
}
`
}
