import { SkipstoneError } from '../errors.js'
import type { Drafts, SkipPolicy } from './policy.js'

/**
 * Self-speculative decoding (Draft & Verify, arXiv 2309.08168): the model drafts tokens with a policy that skips, and verifies them densely, all
 * of a draft in one pass. What is generated is what the dense model generates; keys and values that stay are the dense model's.
 *
 * Departures: any policy drafts, not a set that was searched for; the length of drafts follows measured costs instead of how sure the draft is of
 * a token. What a draft's policy would learn by watching (`adaskip`, online) it does without.
 * @throws `bad-option` for a draft that never skips, and for drafts longer than 16.
 */
export function speculative(o: { draft: SkipPolicy; length: Drafts['length']; layers: number }): SkipPolicy {
  const { length, layers } = o
  const { watch: _, ...draft } = o.draft
  const sublayers = Array.from({ length: 2 * layers }, (_, sublayer) => sublayer)
  if (!sublayers.some((sublayer) => canSkip(draft, sublayer))) {
    throw new SkipstoneError(
      'bad-option',
      `speculative: the draft ${draft.name} never skips, so that it saves nothing; give a policy that does when it decodes.`,
    )
  }
  if (length !== 'adaptive' && length > 16) {
    throw new SkipstoneError(
      'bad-option',
      `speculative: length is adaptive, or a whole number from 1 to 16, not ${length}.`,
    )
  }
  const name = `speculative:draft=${draft.name.replace(':', ';').replaceAll(',', ';')},length=${length}`
  const drafting: SkipPolicy = {
    ...draft,
    name: `${name}, drafting`,
    decide: (sublayer, phase) => (phase === 'prefill' ? 'run' : draft.decide(sublayer, phase)),
    keysValues: 'recomputed',
  }
  return { name, decide: () => 'run', threshold: () => 0, drafts: { policy: drafting, length } }
}

function canSkip({ decide, scoring, threshold }: SkipPolicy, sublayer: number): boolean {
  const decision = decide(sublayer, 'decode')
  if (decision !== 'routed') return decision === 'skip'
  // Lots are drawn from [0, 1).
  return threshold(sublayer) > (scoring?.kind === 'lot' ? 0 : Number.NEGATIVE_INFINITY)
}
