import { loopBound, planRows, type Rows } from './plan.js'

/** Attention with the queries of a prompt, in whatever order a kernel works: one host side binds them all. */
export interface PromptAttention {
  heads: number
  kvHeads: number
  headDim: number
  rows: Rows
  /** Positions that are holes (hole.ts) are not seen. */
  holes?: boolean
}

/** WGSL bindings, and how rows of the plan and loops are read. */
export function promptAttentionBindings({ rows }: Pick<PromptAttention, 'rows'>): string {
  return `struct Params { slot: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> kv: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4f>;
@group(0) @binding(4) var<uniform> params: Params;
${planRows(rows)}
${loopBound}`
}
