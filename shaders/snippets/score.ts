import { normaliseRow, type RowNorm } from './norm.js'
import { loopBound, PLAN_HEADER } from './plan.js'

/** How a kernel that decides leaves its decisions, and what else it does on the way. */
export interface ScoreOptions {
  capacity: number
  /** Single-row chunks: write the execute word straight into the plan, no compaction needed. */
  writesPlan: boolean
  /** What the sublayer behind reads is normalised too, where products get it so. One dispatch less. */
  norm?: RowNorm | undefined
}

/**
 * WGSL that stores the margin of one row at one sublayer, and, for a single-row chunk, the execute word that the plan's
 * slot then holds. `z` keeps score − threshold, so that execute iff z >= 0 (a tie executes).
 */
export function storeScore(o: ScoreOptions): string {
  return `fn storeScore(sublayer: u32, row: u32, score: f32) {
  let margin = score - thresholds[sublayer];
  z[sublayer * ${o.capacity}u + row] = margin;
${
  o.writesPlan
    ? `  let slot = ${PLAN_HEADER}u + sublayer * ${o.capacity + 1}u;
  plan[slot] = select(0u, 1u, plan[0] > 0u && margin >= 0.0);
  plan[slot + 1u] = 0u;`
    : ''
}
}`
}

/** WGSL bindings from `first` on, `normaliseRow` and `scaleRow`, of kernels that normalise on the way. Needs `workgroupSum`. */
export function normOnTheWay({ norm, d4, lanes }: ScoreOptions & { d4: number; lanes: number }, first: number): string {
  return norm
    ? `@group(0) @binding(${first}) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(${first + 1}) var<storage, read_write> u: array<vec4f>;
${loopBound}
${normaliseRow({ ...norm, d4, lanes })}`
    : ''
}
