import type { Obey } from '../../shaders/snippets/obey.js'
import type { Dispatch, ParamsArena } from '../gpu/dispatch.js'
import type { SkipPolicy } from '../skip/policy.js'
import type { Engine } from './engine.js'
import type { SequenceBuffers } from './sequence-buffers.js'
import type { Target } from './target.js'

/** How the last product of a sublayer, for the rows of a chunk, joins the residual stream. */
export interface Joining {
  readonly epilogue: 'add' | 'add-masked' | 'store'
  /** What the product writes. */
  into(engine: Engine): GPUBuffer
  /** What follows it. */
  after(
    engine: Engine,
    arena: ParamsArena,
    buffers: Pick<SequenceBuffers, 'plan' | 'z'>,
    at: { readonly layer: number; readonly slot: number },
  ): readonly Dispatch[]
}

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
