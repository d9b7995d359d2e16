import type { Obey } from '../../shaders/snippets/obey.js'
import type { Variant } from './program.js'

/** How the kernels of a sublayer obey under this policy. */
export function obeyOf({ policy, masked }: Variant, sublayer: number): Obey {
  if (policy.decide(sublayer) !== 'routed') return 'always'
  return masked ? 'masked' : 'skip'
}

/** Makes kernels for the ways of obeying that a policy leads to in `sublayers` sublayers, and no others. */
export async function perObey<T>(
  variant: Variant,
  sublayers: number,
  make: (obey: Obey) => Promise<T>,
): Promise<(obey: Obey) => T> {
  const ways = new Set(Array.from({ length: sublayers }, (_, sublayer) => obeyOf(variant, sublayer)))
  const made = new Map(await Promise.all([...ways].map(async (obey) => [obey, await make(obey)] as const)))
  return (obey) => made.get(obey) as T
}
