import type { Obey } from '../../shaders/snippets/obey.js'
import type { ProgramInputs } from './program.js'

/** Makes kernels for the ways of obeying that a policy leads to, and no others. */
export async function perObey<T>(
  inputs: Pick<ProgramInputs, 'policy' | 'masked'>,
  make: (obey: Obey) => Promise<T>,
): Promise<(obey: Obey) => T> {
  const routed: Obey = inputs.masked ? 'masked' : 'skip'
  const always = await make('always')
  const obeying = inputs.policy.scoring ? await make(routed) : always
  return (obey) => (obey === 'always' ? always : obeying)
}
