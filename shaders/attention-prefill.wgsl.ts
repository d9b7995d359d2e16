import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { planRows, type Rows } from './snippets/plan.js'
import { unroll } from './snippets/reduce.js'

export interface AttentionPrefillOptions {
  heads: number
  kvHeads: number
  headDim: number
  rows: Rows
  /** Queries per invocation: more of them share one read of a key, at the price of registers. */
  queries: 1 | 2
}

const THREADS = 32

/**
 * Keys that are scored together. The code is unrolled over keys and columns, and some compilers need time that grows
 * faster than its length: with four keys lavapipe took 20 s for a head of 40 and minutes for one of 64.
 */
function keysPerStep(d4: number): number {
  if (d4 <= 4) return 4
  return d4 <= 8 ? 2 : 1
}

/** Queries that one group handles. */
export function queriesPerGroup(queries: number): number {
  return THREADS * queries
}

/**
 * Causal attention for gathered queries: query i sits at position start + rowAt(i) and sees keys 0 .. that position,
 * skipped tokens' keys included. Online softmax over blocks of keys, accumulated in registers.
 *
 *   plan  u32, read
 *   q     f32 [capacity, heads headDim], compact rows, already rotated
 *   kv    f32 [context, 2 kvHeads headDim]
 *   out   f32 [capacity, heads headDim], compact rows, written
 *
 * Dispatch: (heads, ceil(rows / queriesPerGroup), 1) groups of 32.
 */
export function attentionPrefillShader(o: AttentionPrefillOptions): string {
  const d4 = o.headDim / 4
  const keys = keysPerStep(d4)
  const rowWords4 = (2 * o.kvHeads * o.headDim) / 4
  const values4 = (o.kvHeads * o.headDim) / 4
  const keyed = (term: (j: number) => string) => Array.from({ length: keys }, (_, j) => term(j))
  const each = (line: (r: number) => string) => unroll(o.queries, line)
  const highest = (r: number) => keyed((j) => `score${r}_${j}`).reduce((a, b) => `max(${a}, ${b})`)
  const scale = `${(1 / Math.sqrt(o.headDim)).toPrecision(9)}f`
  return wgsl`
struct Params { slot: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> kv: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4f>;
@group(0) @binding(4) var<uniform> params: Params;
${planRows(o.rows)}

@compute @workgroup_size(${THREADS})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let count = rowCount();
  let firstQuery = group.y * ${queriesPerGroup(o.queries)}u;
  if (firstQuery >= count) { return; }
  let head = group.x;
  let kvColumn = head / ${o.heads / o.kvHeads}u * ${d4}u;
  let lastPosition = plan[1] + rowAt(min(firstQuery + ${queriesPerGroup(o.queries) - 1}u, count - 1u));
  ${each(
    (r) => `
  let i${r} = firstQuery + lane + ${r * THREADS}u;
  let row${r} = min(i${r}, count - 1u);
  let position${r} = plan[1] + rowAt(row${r});
  let from${r} = (row${r} * ${o.heads}u + head) * ${d4}u;
  ${unroll(d4, (c) => `let q${r}_${c} = q[from${r} + ${c}u] * ${scale}; var a${r}_${c} = vec4f();`)}
  var maximum${r} = -3.0e38;
  var weight${r} = 0.0;`,
  )}
  for (var first = 0u; first <= lastPosition; first += ${keys}u) {
    ${unroll(keys, (j) => `let at${j} = min(first + ${j}u, lastPosition) * ${rowWords4}u + kvColumn;`)}
    ${each((r) => unroll(keys, (j) => `var s${r}_${j} = vec4f();`))}
    ${unroll(d4, (c) => unroll(keys, (j) => `{ let k = kv[at${j} + ${c}u]; ${each((r) => `s${r}_${j} = fma(q${r}_${c}, k, s${r}_${j});`)} }`))}
    ${each(
      (r) => `
    ${unroll(keys, (j) => `let score${r}_${j} = select(-3.0e38, s${r}_${j}.x + s${r}_${j}.y + s${r}_${j}.z + s${r}_${j}.w, first + ${j}u <= position${r});`)}
    let next${r} = max(maximum${r}, ${highest(r)});
    let kept${r} = exp(maximum${r} - next${r});
    ${unroll(keys, (j) => `let p${r}_${j} = select(0.0, exp(score${r}_${j} - next${r}), first + ${j}u <= position${r});`)}
    weight${r} = weight${r} * kept${r} + ${keyed((j) => `p${r}_${j}`).join(' + ')};
    maximum${r} = next${r};`,
    )}
    ${unroll(
      d4,
      (c) => `{
      ${unroll(keys, (j) => `let v${j} = kv[at${j} + ${values4 + c}u];`)}
      ${each((r) => `a${r}_${c} = a${r}_${c} * kept${r} + ${keyed((j) => `v${j} * p${r}_${j}`).join(' + ')};`)}
    }`,
    )}
  }
  ${each(
    (r) => `if (i${r} < count) {
    ${unroll(d4, (c) => `out[from${r} + ${c}u] = a${r}_${c} / weight${r};`)}
  }`,
  )}
}
`
}
