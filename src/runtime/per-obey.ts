import type { Obey } from '../../shaders/snippets/obey.js'
import type { Phase } from '../skip/policy.js'
import type { Variant } from './program.js'

/** How the kernels of a sublayer obey under this policy; undefined where it has none, since every token skips it. */
export function obeyOf({ policy, masked }: Variant, sublayer: number, phase: Phase): Obey | undefined {
  const decision = policy.decide(sublayer, phase)
  if (decision === 'skip') return undefined
  if (decision === 'run') return 'always'
  return masked ? 'masked' : 'skip'
}

/** Makes kernels for the ways of obeying that a policy leads to in `sublayers` sublayers, and no others. */
export async function perObey<T>(
  variant: Variant,
  { sublayers, phase }: { readonly sublayers: number; readonly phase: Phase },
  make: (obey: Obey) => Promise<T>,
): Promise<(obey: Obey | undefined) => T | undefined> {
  const all = Array.from({ length: sublayers }, (_, sublayer) => obeyOf(variant, sublayer, phase))
  const ways = new Set(all.filter((obey) => obey !== undefined))
  const made = new Map(await Promise.all([...ways].map(async (obey) => [obey, await make(obey)] as const)))
  return (obey) => obey && made.get(obey)
}
