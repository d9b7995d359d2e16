import type { Obey } from '../../shaders/snippets/obey.js'
import type { SkipPolicy } from '../skip/policy.js'
import type { Joining } from './program.js'
import type { Target } from './target.js'

/** The product adds itself, unless the policy scales what is added. Few policies do: this is loaded for them. */
export async function joining(
  target: Target,
  { scoring }: SkipPolicy,
  obey: Obey,
  kind: 'attention' | 'mlp',
): Promise<Joining> {
  const gates = scoring?.kind === 'gates' && obey !== 'always' ? scoring[kind] : undefined
  if (gates?.output) return (await import('./gates/gated-joining.js')).gatedJoining(target, gates, obey, kind)
  return { epilogue: obey === 'masked' ? 'add-masked' : 'add', into: ({ scratch }) => scratch.x, after: () => [] }
}
