import type { SkipPolicy } from './policy.js'

/** Masks by lot, for tests and benchmarks: each token skips each sublayer with probability `skip`, the same for a seed. */
export function forced({ skip = 0.5, seed = 0 }: { skip?: number; seed?: number } = {}): SkipPolicy {
  return {
    name: `forced:skip=${skip},seed=${seed}`,
    decide: () => 'routed',
    scoring: { kind: 'lot', seed },
    threshold: () => skip,
  }
}
