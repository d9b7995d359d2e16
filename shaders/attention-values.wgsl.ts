import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import type { AttentionInTurnOptions } from './attention-scores.wgsl.js'
import { enterQuery } from './snippets/one-query.js'
import { unroll } from './snippets/reduce.js'

export const VALUES_GROUP = 8

/**
 * What one query makes of its scores: softmax over the positions, and with that the mean of the values. An invocation has four columns of some heads, for
 * all positions, and makes the weights for itself.
 *
 *   plan    u32, read      start = the query's position; slot[0] = execute word
 *   scores  f32 [context, heads], as attention-scores leaves them
 *   kv      f32 [context, 2 kvHeads headDim], read
 *   out     f32 [rows, heads headDim], of a batch; written: row params.row
 *   z       f32, read, for margins only: z[params.z + params.row] >= 0 executes
 *
 * Dispatch: (heads / headsTogether, ceil(headDim / 4 / VALUES_GROUP), 1) groups of VALUES_GROUP.
 */
export function attentionValuesShader(o: AttentionInTurnOptions): string {
  const d4 = o.headDim / 4
  const rowWords4 = (2 * o.kvHeads * o.headDim) / 4
  const each = (line: (h: number) => string) => unroll(o.headsTogether, line)
  return wgsl`
struct Params { slot: u32, z: u32, row: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> scores: array<f32>;
@group(0) @binding(2) var<storage, read> kv: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4f>;
@group(0) @binding(4) var<uniform> params: Params;
#if ${o.obeys === 'margin'}
@group(0) @binding(5) var<storage, read> z: array<f32>;
#endif

@compute @workgroup_size(${VALUES_GROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  ${enterQuery(o, 'params.row')}
  let column = group.y * ${VALUES_GROUP}u + lane;
  if (column >= ${d4}u) { return; }
  let firstHead = group.x * ${o.headsTogether}u;
  let first = ${o.kvHeads * d4}u + firstHead / ${o.heads / o.kvHeads}u * ${d4}u + column;
  ${each((h) => `var maximum${h} = -3.0e38; var weight${h} = 0.0; var sum${h} = vec4f();`)}
  for (var i = 0u; i < length; i++) {
    let cell = i * ${o.heads}u + firstHead;
    ${each((h) => `maximum${h} = max(maximum${h}, scores[cell + ${h}u]);`)}
  }
  for (var i = 0u; i < length; i++) {
    let cell = i * ${o.heads}u + firstHead;
    let v = kv[i * ${rowWords4}u + first];
    ${each(
      (h) => `let p${h} = exp(scores[cell + ${h}u] - maximum${h});
    weight${h} += p${h};
    sum${h} = fma(vec4f(p${h}), v, sum${h});`,
    )}
  }
  ${each((h) => `out[${o.batch ? `params.row * ${o.heads * d4}u + ` : ''}(firstHead + ${h}u) * ${d4}u + column] = sum${h} / weight${h};`)}
}
`
}
