/**
 * How a kernel obeys its sublayer's decision: not at all (the sublayer runs for every row), by leaving skipped rows
 * out, or by computing them and throwing the result away (the control that benchmarks compare against).
 */
export type Obey = 'always' | 'skip' | 'masked'

/** WGSL that ends a single-row kernel early where its row skips. `plan` is bound read-only: the branch is uniform. */
export function obeyGuard(obey: Obey): string {
  return obey === 'skip' ? 'if (plan[params.slot] == 0u) { return; }' : ''
}
