import { SkipstoneError } from '../errors.js'
import type { SkipPolicy } from './policy.js'

/** Masks by lot, for tests and benchmarks: each token skips each sublayer with probability `skip`, the same for a seed. */
export function forced(options: { skip?: number; seed?: number } = {}): SkipPolicy {
  const { skip = 0.5, seed = 0 } = options
  if (!(skip >= 0 && skip <= 1)) {
    throw new SkipstoneError('bad-option', `forced: skip is a share between 0 and 1, not ${skip}.`)
  }
  if (!Number.isInteger(seed)) {
    throw new SkipstoneError('bad-option', `forced: seed is a whole number, not ${seed}.`)
  }
  return {
    name: `forced:skip=${skip},seed=${seed}`,
    decide: () => 'routed',
    scoring: { kind: 'lot', seed },
    threshold: () => skip,
  }
}
