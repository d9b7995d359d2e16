import { SkipstoneError } from '../errors.js'
import type { Phase, SkipPolicy } from './policy.js'

/** Whether every token of the phase skips a sublayer. */
export function isSkipped(policy: SkipPolicy, sublayer: number, phase: Phase): boolean {
  return policy.decide(sublayer, phase) === 'skip'
}

/**
 * Whether a layer's keys and values are made for what stays in the cache, which is so in both phases or in none.
 * @throws `internal` for a policy that skips an attention in one phase and has no rule for it.
 */
export function hasKeysValues(policy: SkipPolicy, layer: number): boolean {
  const skips = (['prefill', 'decode'] as const).filter((phase) => isSkipped(policy, 2 * layer, phase))
  if (skips.length === 1 && !policy.keysValues) {
    throw new SkipstoneError('internal', `${policy.name} has no rule for keys and values; please report this.`)
  }
  return skips.length < 2
}

/** Whether one phase makes them. @throws as `hasKeysValues`. */
export function makesKeysValues(policy: SkipPolicy, layer: number, phase: Phase): boolean {
  return hasKeysValues(policy, layer) && !(policy.keysValues === 'recomputed' && isSkipped(policy, 2 * layer, phase))
}

/** What a token that a routed attention skips leaves in the layer's cache, if not keys and values of its own. */
export function leftBySkipping(policy: SkipPolicy, layer: number, phase: Phase): SkipPolicy['skipped'] {
  const { skipped } = policy
  if (policy.decide(2 * layer, phase) !== 'routed') return undefined
  return skipped === 'below' && layer === 0 ? undefined : skipped
}

/** Whether positions stay that only a policy of holes may attend to. */
export function leavesHoles({ skipped, keysValues }: SkipPolicy): boolean {
  return skipped === 'hole' && keysValues !== 'recomputed'
}

/** The policy with what it says of one phase said of both. */
export function asIn(phase: Phase, policy: SkipPolicy): SkipPolicy {
  return { ...policy, decide: (sublayer) => policy.decide(sublayer, phase) }
}

/** Whether what begins a sequence decides for what follows: another policy's decisions are then of no use. */
export function decidesOnce({ scoring }: SkipPolicy): boolean {
  return scoring?.kind === 'gates' && (scoring.attention?.pools === true || scoring.mlp?.pools === true)
}
