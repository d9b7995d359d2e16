import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { isHole } from './snippets/hole.js'
import { enterQuery, type OneQuery, queryStart } from './snippets/one-query.js'
import { loopBound } from './snippets/plan.js'
import { unroll } from './snippets/reduce.js'
import { scoreScale } from './snippets/score-scale.js'

/** Of attention in two kernels without workgroup memory, for CPUs behind WebGPU: there barriers are dear, and so is memory that is cleared for every group. */
export interface AttentionInTurnOptions extends OneQuery {
  heads: number
  kvHeads: number
  headDim: number
  /** Heads that an invocation handles; they share their keys and values. Divides heads / kvHeads. */
  headsTogether: number
  /** Positions that are holes (snippets/hole.ts) are not seen. */
  holes?: boolean
}

export const SCORES_GROUP = 16

/** Positions that an invocation scores: the query is loaded once for all of them. */
const EACH = 4

/** Positions that a group scores. */
export const SCORED_BY_GROUP = SCORES_GROUP * EACH

/**
 * Scores of one query over its cache, q · k / sqrt(headDim); what no query sees gets less than any score. `attention-values` goes on.
 *
 *   plan    u32, read      start = the query's position; slot[0] = execute word
 *   q       f32 [heads, headDim], of a batch that of row params.row
 *   kv      f32 [context, 2 kvHeads headDim], read
 *   scores  f32 [context, heads], written up to the query's position
 *   z       f32, read, for margins only: z[params.z + params.row] >= 0 executes
 *
 * Dispatch: (heads / headsTogether, ceil(the longest context of the submit / SCORED_BY_GROUP), 1) groups of SCORES_GROUP.
 */
export function attentionScoresShader(o: AttentionInTurnOptions): string {
  const d4 = o.headDim / 4
  const rowWords4 = (2 * o.kvHeads * o.headDim) / 4
  const heads = o.headsTogether
  const cells = (line: (p: number, h: number) => string) => unroll(EACH, (p) => unroll(heads, (h) => line(p, h)))
  const score = (p: number, h: number) => {
    const dot = `(dots${p}_${h}.x + dots${p}_${h}.y + dots${p}_${h}.z + dots${p}_${h}.w) * ${scoreScale(o.headDim)}`
    return o.holes ? `select(${dot}, -3.0e38, ${isHole(`kv[at${p}]`)})` : dot
  }
  return wgsl`
struct Params { slot: u32, z: u32, row: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> kv: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> scores: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;
#if ${o.obeys === 'margin'}
@group(0) @binding(5) var<storage, read> z: array<f32>;
#endif
${loopBound}

@compute @workgroup_size(${SCORES_GROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  ${enterQuery(o, 'params.row')}
  let position = (group.y * ${SCORES_GROUP}u + lane) * ${EACH}u;
  if (position >= length) { return; }
  let firstHead = group.x * ${heads}u;
  let kvColumn = firstHead / ${o.heads / o.kvHeads}u * ${d4}u;
  ${unroll(EACH, (p) => `let at${p} = min(position + ${p}u, length - 1u) * ${rowWords4}u + kvColumn;`)}
  ${cells((p, h) => `var dots${p}_${h} = vec4f();`)}
  for (var i = 0u; i < bound(${d4}u); i++) {
    ${unroll(heads, (h) => `let q${h} = q[${queryStart(o)}(firstHead + ${h}u) * ${d4}u + i];`)}
    ${unroll(EACH, (p) => `let k${p} = kv[at${p} + i];`)}
    ${cells((p, h) => `dots${p}_${h} = fma(q${h}, k${p}, dots${p}_${h});`)}
  }
  ${unroll(
    EACH,
    (p) => `if (position + ${p}u < length) {
    let cell = (position + ${p}u) * ${o.heads}u + firstHead;
    ${unroll(heads, (h) => `scores[cell + ${h}u] = ${score(p, h)};`)}
  }`,
  )}
}
`
}
