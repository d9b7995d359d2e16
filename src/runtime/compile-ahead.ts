import type { SkipPolicy } from '../skip/policy.js'
import { decodeKernels } from './decode-program.js'
import { endingKernels } from './endings.js'
import { prefillKernels } from './prefill-program.js'
import type { Target } from './target.js'

/** Compiles what sequences with this policy will use, so that none of them waits for it. No weights are needed. */
export async function compileAhead(target: Target, policy: SkipPolicy): Promise<void> {
  const variant = { policy, margins: false, masked: false }
  await Promise.all([decodeKernels(target, variant), prefillKernels(target, variant), endingKernels(target, variant)])
}
