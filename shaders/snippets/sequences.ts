import { loopBound, loopEnd, planRows } from './plan.js'

/** Attention over whole sequences of equal length, one behind the other, as training sees them. */
export interface SequenceAttentionOptions {
  heads: number
  kvHeads: number
  headDim: number
  /** As in attention-prefill. */
  unrolled: boolean
}

/** Rows that a group of an attention kernel over sequences takes: one for each invocation. */
export const SEQUENCE_GROUP = 32

/** What all attention kernels over sequences share. */
export interface SequenceAttention {
  /** Vectors of four in a head, and in a row of keys and values. */
  readonly d4: number
  readonly row4: number
  /** WGSL loop over `c`, the vectors of a head. */
  readonly each: string
  /** WGSL `Params`, and bindings 0 to 2: plan, q, kv. */
  readonly inputs: string
  /** WGSL `total(v)`, the sum of four, and the head of `main`: `group`, `lane`, and `row`, which there is. */
  readonly main: string
}

export function sequenceAttention(o: SequenceAttentionOptions): SequenceAttention {
  const d4 = o.headDim / 4
  return {
    d4,
    row4: 2 * o.kvHeads * d4,
    each: `for (var c = 0u; c < ${loopEnd(d4, o.unrolled)}; c++)`,
    inputs: `struct Params { length: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> kv: array<vec4f>;`,
    main: `${planRows('all')}
${loopBound}
fn total(v: vec4f) -> f32 { return v.x + v.y + v.z + v.w; }

@compute @workgroup_size(${SEQUENCE_GROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.x * ${SEQUENCE_GROUP}u + lane;
  if (row >= rowCount()) { return; }`,
  }
}

/** WGSL of kernels with an invocation for each query: where the query of `head` begins, and the column of its keys. */
export function queryPlace({ heads, kvHeads }: SequenceAttentionOptions, { d4 }: SequenceAttention): string {
  return `let head = group.y;
  let own = (row * ${heads}u + head) * ${d4}u;
  let kvColumn = head / ${heads / kvHeads}u * ${d4}u;`
}
