import type { Obey } from '../../shaders/snippets/obey.js'
import type { Variant } from './program.js'

/** Makes kernels for the ways of obeying that a policy leads to, and no others. */
export async function perObey<T>(
  { policy, masked }: Variant,
  make: (obey: Obey) => Promise<T>,
): Promise<(obey: Obey) => T> {
  const routed: Obey = masked ? 'masked' : 'skip'
  const always = await make('always')
  const obeying = policy.scoring ? await make(routed) : always
  return (obey) => (obey === 'always' ? always : obeying)
}
