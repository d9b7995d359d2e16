import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { scoreScale } from './snippets/score-scale.js'
import { SEQUENCE_GROUP, type SequenceAttentionOptions, sequenceAttention } from './snippets/sequences.js'

/**
 * Gradients of attention-sequences in its keys and values, summed over the queries that see them and the heads that share them: with
 * p = exp(s − logSumExp), dv = Σ p dOut and dk = Σ p (dOut · v − delta) q / sqrt(headDim).
 *
 *   plan       u32, read
 *   q, kv, logSumExp  as in attention-sequences, read
 *   dOut       f32 [capacity, heads headDim]
 *   delta      f32 [capacity, heads], of attention-backward-query
 *   dkv        f32 [capacity, 2 kvHeads headDim], written
 *
 * Dispatch: (ceil(rows / 32), kvHeads, 1) groups of 32: one invocation per row, whose group goes through the same queries at the same time.
 */
export function attentionBackwardKeyValueShader(o: SequenceAttentionOptions): string {
  const { d4, row4, each, inputs, main } = sequenceAttention(o)
  const shared = o.heads / o.kvHeads
  return wgsl`
${inputs}
@group(0) @binding(3) var<storage, read> logSumExp: array<f32>;
@group(0) @binding(4) var<storage, read> dOut: array<vec4f>;
@group(0) @binding(5) var<storage, read> delta: array<f32>;
@group(0) @binding(6) var<storage, read_write> dkv: array<vec4f>;
@group(0) @binding(7) var<uniform> params: Params;
${main}
  let own = row * ${row4}u + group.y * ${d4}u;
  let values = own + ${o.kvHeads * d4}u;
  var key: array<vec4f, ${d4}>;
  var value: array<vec4f, ${d4}>;
  var dKey: array<vec4f, ${d4}>;
  var dValue: array<vec4f, ${d4}>;
  ${each} {
    key[c] = kv[own + c] * ${scoreScale(o.headDim)};
    value[c] = kv[values + c];
  }
  let first = row - row % params.length;
  let end = min(first + params.length, rowCount());
  for (var t = max(first, group.x * ${SEQUENCE_GROUP}u); t < end; t++) {
    for (var h = 0u; h < bound(${shared}u); h++) {
      let head = t * ${o.heads}u + group.y * ${shared}u + h;
      let at = head * ${d4}u;
      var scores = vec4f();
      var gains = vec4f();
      ${each} {
        scores = fma(q[at + c], key[c], scores);
        gains = fma(dOut[at + c], value[c], gains);
      }
      let p = select(0.0, exp(min(total(scores) - logSumExp[head], 0.0)), t >= row);
      let dScore = p * (total(gains) - delta[head]);
      ${each} {
        dValue[c] = fma(vec4f(p), dOut[at + c], dValue[c]);
        dKey[c] = fma(vec4f(dScore), q[at + c], dKey[c]);
      }
    }
  }
  ${each} {
    dkv[own + c] = dKey[c] * ${scoreScale(o.headDim)};
    dkv[values + c] = dValue[c];
  }
}
`
}
