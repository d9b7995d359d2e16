import type { Obey } from '../../../shaders/snippets/obey.js'
import { addGatedKernel } from '../../kernels/add-gated.js'
import type { Gates } from '../../skip/gates.js'
import type { Joining } from '../program.js'
import type { Target } from '../target.js'
import { branchOf, gateResources } from './gate-resources.js'

/** The product goes beside the stream, and is added with its gate. Where gates are of whole layers, rows that skip get an adapter's behind it. */
export async function gatedJoining(
  target: Target,
  gates: Gates,
  obey: Obey,
  kind: 'attention' | 'mlp',
): Promise<Joining> {
  const { gpu, shape, capacity } = target
  const masked = obey === 'masked'
  const { adapters } = gates.ofLayers ?? {}
  const adapt =
    gates.ofLayers &&
    adapters &&
    (await (await import('./adapter-rows.js')).adapterRows(target, gates.ofLayers, adapters))
  const { offset, gain } = gates.output ?? { offset: 1, gain: 0 }
  const add = await addGatedKernel(gpu, {
    d4: shape.d4,
    gate: gates.outputs === 1 || adapt ? 'scalar' : 'vector',
    rows: masked ? 'all' : 'active',
    masked,
  })
  return {
    epilogue: 'store',
    into: branchOf,
    after(engine, arena, { plan, z }, { layer, slot }) {
      const g = adapt?.gatesOn(engine) ?? gateResources(engine, gates).gates
      const sublayer = 2 * layer + (kind === 'mlp' ? 1 : 0)
      const bound = { plan, branch: branchOf(engine), gates: g, x: engine.scratch.x, z }
      return [
        add(arena, bound, { slot, z: sublayer * capacity, offset, gain }),
        ...(adapt?.rows(engine, arena, { plan, z }, layer) ?? []),
      ]
    },
  }
}
