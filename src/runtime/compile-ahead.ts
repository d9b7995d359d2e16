import type { SkipPolicy } from '../skip/policy.js'
import { decodeKernels } from './decode-program.js'
import { endingKernels } from './endings.js'
import { prefillKernels } from './prefill-program.js'
import type { Target } from './target.js'

/** Compiles what sequences with these policies will use, so that none of them waits for it. No weights are needed. */
export async function compileAhead(target: Target, policies: readonly SkipPolicy[]): Promise<void> {
  await Promise.all(
    policies.flatMap((policy) => {
      const variant = { policy, margins: false, masked: false }
      return [decodeKernels(target, variant), prefillKernels(target, variant), endingKernels(target, variant)]
    }),
  )
}
