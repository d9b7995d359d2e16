import { PLAN_HEADER } from './plan.js'

/**
 * WGSL that stores the margin of one row at one sublayer, and, for a single-row chunk, the execute word that the plan's
 * slot then holds. `z` keeps score − threshold, so that execute iff z >= 0 (a tie executes).
 */
export function storeScore(o: { capacity: number; writesPlan: boolean }): string {
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
