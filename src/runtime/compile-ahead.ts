import type { SkipPolicy } from '../skip/policy.js'
import { decodeKernels } from './decode-program.js'
import { endingKernels } from './endings.js'
import { prefillKernels } from './prefill-program.js'
import type { Target } from './target.js'

/**
 * Compiles what sequences with this policy will use, so that none of them waits for it. No weights are needed. `first` resolves when
 * everything up to the first token is there; only then the rest begins, which would take its place in the compiler's queue.
 */
export function compileAhead(target: Target, policy: SkipPolicy): { first: Promise<void>; all: Promise<void> } {
  const variant = { policy, margins: false, masked: false }
  const first = Promise.all([prefillKernels(target, variant), endingKernels(target, variant)])
  const all = first.then(() => decodeKernels(target, variant))
  return { first: first.then(() => undefined), all: all.then(() => undefined) }
}
