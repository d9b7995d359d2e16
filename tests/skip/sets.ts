import type { Phase, SkipPolicy } from '../../src/skip/policy.js'

/** The sublayers that a policy skips for every token. */
export function skippedSublayers(policy: SkipPolicy, layers: number, phase: Phase = 'decode'): number[] {
  return Array.from({ length: 2 * layers }, (_, i) => i).filter((i) => policy.decide(i, phase) === 'skip')
}
