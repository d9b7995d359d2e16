import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { scoreScale } from './snippets/score-scale.js'
import { queryPlace, type SequenceAttentionOptions, sequenceAttention } from './snippets/sequences.js'

/**
 * Gradient of attention-sequences in its queries (FlashAttention's backward pass, Dao et al. 2022): with p = exp(s − logSumExp) and
 * delta = dOut · out, dq = Σ p (dOut · v − delta) k / sqrt(headDim). Delta is stored for the gradients of keys and values.
 *
 *   plan       u32, read
 *   q, kv, out, logSumExp  as in attention-sequences, read
 *   dOut       f32 [capacity, heads headDim]
 *   dq         f32 [capacity, heads headDim], written
 *   delta      f32 [capacity, heads], written
 *
 * Dispatch: (ceil(rows / 32), heads, 1) groups of 32: one invocation per row.
 */
export function attentionBackwardQueryShader(o: SequenceAttentionOptions): string {
  const shared = sequenceAttention(o)
  const { d4, row4, each, inputs, main } = shared
  return wgsl`
${inputs}
@group(0) @binding(3) var<storage, read> out: array<vec4f>;
@group(0) @binding(4) var<storage, read> logSumExp: array<f32>;
@group(0) @binding(5) var<storage, read> dOut: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> dq: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> delta: array<f32>;
@group(0) @binding(8) var<uniform> params: Params;
${main}
  ${queryPlace(o, shared)}
  var query: array<vec4f, ${d4}>;
  var gradient: array<vec4f, ${d4}>;
  var sum: array<vec4f, ${d4}>;
  var along = vec4f();
  ${each} {
    query[c] = q[own + c] * ${scoreScale(o.headDim)};
    gradient[c] = dOut[own + c];
    along = fma(gradient[c], out[own + c], along);
  }
  let mean = total(along);
  let lse = logSumExp[row * ${o.heads}u + head];
  for (var s = row - row % params.length; s <= row; s++) {
    let key = s * ${row4}u + kvColumn;
    let value = key + ${o.kvHeads * d4}u;
    var scores = vec4f();
    var gains = vec4f();
    ${each} {
      scores = fma(query[c], kv[key + c], scores);
      gains = fma(gradient[c], kv[value + c], gains);
    }
    let dScore = exp(min(total(scores) - lse, 0.0)) * (total(gains) - mean);
    ${each} { sum[c] = fma(vec4f(dScore), kv[key + c], sum[c]); }
  }
  ${each} { dq[own + c] = sum[c] * ${scoreScale(o.headDim)}; }
  delta[row * ${o.heads}u + head] = mean;
}
`
}
