import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { isHole } from './snippets/hole.js'
import { type PromptAttention, promptAttentionBindings } from './snippets/prompt-attention.js'
import { unroll } from './snippets/reduce.js'
import { scoreScale } from './snippets/score-scale.js'

export interface AttentionPassedOptions extends PromptAttention {
  /** Lanes of a subgroup. */
  lanes: 4 | 8
}

/** Keys of a tile. More of them, or more sums, are faster still, but take compilers two and three times as long. */
const KEYS = 8

/** Sums, vectors of four, up to which an invocation takes more than one query or head. */
const MOST_SUMS = 16

/** What one invocation attends with: several heads that share their keys and values, or several queries of one head. */
export function ownQueries({ heads, kvHeads, headDim }: Omit<AttentionPassedOptions, 'rows' | 'lanes'>) {
  const most = Math.max(1, Math.min(4, Math.floor(MOST_SUMS / (headDim / 4))))
  const sharing = heads / kvHeads
  let together = Math.min(most, sharing)
  while (sharing % together !== 0) together--
  return sharing > 1 ? { heads: together, queries: 1 } : { heads: 1, queries: Math.min(2, most) }
}

/**
 * Causal attention as in attention-prefill, for CPUs behind WebGPU with subgroups. Each lane has queries of its own, with their scores, their softmax and their
 * sums, so that nothing is added up over lanes and there are no barriers; keys and values are read once for the subgroup, a lane each, and passed on.
 *
 *   plan  u32, read
 *   q     f32 [capacity, heads headDim], compact rows, already rotated
 *   kv    f32 [context, 2 kvHeads headDim]
 *   out   f32 [capacity, heads headDim], compact rows, written
 *
 * Dispatch: (ceil(rows / (lanes · own queries)), heads / own heads, 1) groups of `lanes`.
 */
export function attentionPassedShader(o: AttentionPassedOptions): string {
  const { lanes } = o
  const d4 = o.headDim / 4
  const own = ownQueries(o)
  const slots = own.heads * own.queries
  const tile = lanes * own.queries
  const rowWords4 = (2 * o.kvHeads * o.headDim) / 4
  const values4 = (o.kvHeads * o.headDim) / 4
  const each = (line: (s: number) => string) => unroll(slots, line)
  const keys = (line: (j: number) => string) => unroll(KEYS, line)
  const columns = (line: (c: number) => string) => unroll(d4, line)
  const query = (s: number) => `query${own.queries === 1 ? 0 : s}`
  const passed = (name: string, i: number) => `subgroupBroadcast(${name}${Math.floor(i / lanes)}, ${i % lanes}u)`
  // What is passed on comes first: behind `&&`, control flow would not be uniform.
  const sees = (s: number, j: number) =>
    `${o.holes ? `${passed('hole', j)} == 0u && ` : ''}first + ${j}u <= position${own.queries === 1 ? 0 : s}`
  return wgsl`
enable subgroups;
${promptAttentionBindings(o)}

@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let count = rowCount();
  let firstQuery = group.x * ${tile}u;
  if (firstQuery >= count) { return; }
  let firstHead = group.y * ${own.heads}u;
  let kvColumn = firstHead / ${o.heads / o.kvHeads}u * ${d4}u;
  let lastPosition = plan[1] + rowAt(min(firstQuery + ${tile - 1}u, count - 1u));
  ${unroll(
    own.queries,
    (i) =>
      `let query${i} = min(firstQuery + lane + ${i * lanes}u, count - 1u); let position${i} = plan[1] + rowAt(query${i});`,
  )}
  ${each(
    (s) => `let q${s} = (${query(s)} * ${o.heads}u + firstHead${own.queries === 1 ? ` + ${s}u` : ''}) * ${d4}u;
  var maximum${s} = -3.0e38; var weight${s} = 0.0; var p${s}: array<f32, ${KEYS}>;
  ${columns((c) => `var sum${s}_${c} = vec4f();`)}`,
  )}
  for (var first = 0u; first <= lastPosition; first += ${KEYS}u) {
    ${unroll(KEYS / lanes, (i) => `let key${i} = min(first + lane + ${i * lanes}u, lastPosition) * ${rowWords4}u + kvColumn;`)}
    ${o.holes ? unroll(KEYS / lanes, (i) => `let hole${i} = select(0u, 1u, ${isHole(`kv[key${i}]`)});`) : ''}
    ${each((s) => keys((j) => `var s${s}_${j} = 0.0;`))}
    for (var c = 0u; c < bound(${d4}u); c++) {
      ${unroll(KEYS / lanes, (i) => `let k${i} = kv[key${i} + c];`)}
      ${each((s) => `let own${s} = q[q${s} + c] * ${scoreScale(o.headDim)};`)}
      ${keys((j) => `{ let k = ${passed('k', j)}; ${each((s) => `s${s}_${j} += dot(own${s}, k);`)} }`)}
    }
    ${each(
      (s) => `{
      ${keys((j) => `s${s}_${j} = select(-3.0e38, s${s}_${j}, ${sees(s, j)});`)}
      var highest = maximum${s};
      ${keys((j) => `highest = max(highest, s${s}_${j});`)}
      let keep = exp(maximum${s} - highest);
      maximum${s} = highest;
      weight${s} *= keep;
      ${keys((j) => `p${s}[${j}] = exp(s${s}_${j} - highest); weight${s} += p${s}[${j}];`)}
      ${columns((c) => `sum${s}_${c} *= keep;`)}
    }`,
    )}
    for (var j = 0u; j < min(bound(${KEYS}u), lastPosition + 1u - first); j++) {
      let value = (first + j) * ${rowWords4}u + ${values4}u + kvColumn;
      ${unroll(Math.ceil(d4 / lanes), (i) => `let v${i} = kv[value + min(lane + ${i * lanes}u, ${d4 - 1}u)];`)}
      ${each((s) => `let weighed${s} = vec4f(p${s}[j]);`)}
      ${columns((c) => `{ let v = ${passed('v', c)}; ${each((s) => `sum${s}_${c} = fma(weighed${s}, v, sum${s}_${c});`)} }`)}
    }
  }
  ${each(
    (s) => `if (firstQuery + lane + ${own.queries === 1 ? 0 : s * lanes}u < count) {
    ${columns((c) => `out[q${s} + ${c}u] = sum${s}_${c} / weight${s};`)}
  }`,
  )}
}
`
}
