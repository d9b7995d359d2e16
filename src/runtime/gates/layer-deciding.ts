import { type Positions, planSlot } from '../../../shaders/snippets/plan.js'
import { compactKernel } from '../../kernels/compact.js'
import { gateBottleneckKernel } from '../../kernels/gate-bottleneck.js'
import type { Gates, LayerGates } from '../../skip/gates.js'
import type { Deciding } from '../program.js'
import type { Target } from '../target.js'
import { gateResources, gateStride } from './gate-resources.js'
import { gateValues } from './gate-values.js'
import { layerResources } from './layer-resources.js'

/**
 * How one gate decides both sublayers of a layer for the rows of a chunk: norm, product, gate, and two lists. The plan's slot of the attention lists
 * the rows that run both sublayers, and that of the MLP, where there are adapters, those that run neither, which the adapter takes.
 */
export async function layerDeciding(
  target: Target,
  gates: Gates,
  its: LayerGates,
  positions: Positions,
): Promise<Deciding> {
  const { gpu, shape, capacity } = target
  const { outputs: units, tie } = gates
  const { activation, initials, adapters } = its
  const [values, decide, compact] = await Promise.all([
    gateValues(target, gates, 'attention'),
    gateBottleneckKernel(gpu, {
      units,
      stride: gateStride(units),
      eps: shape.config.rmsNormEps,
      capacity,
      activation,
      tieRuns: tie === 'runs',
      initials,
      positions,
    }),
    compactKernel(gpu, adapters ? { capacity, count: 2, complement: true } : { capacity, count: 1 }),
  ])
  return (engine, arena, buffers, layer, routed) => {
    const head = its.heads[layer]
    if (!head || !(routed.attention || routed.mlp)) return { entry: [], afterAttention: [] }
    const { plan, thresholds, z } = buffers
    const { vectors, heads, gates: g } = layerResources(engine, its)
    const { gates: hidden } = gateResources(engine, gates)
    const sublayer = 2 * layer
    return {
      entry: [
        ...values(engine, arena, buffers, layer),
        decide(
          arena,
          { plan, hidden, vectors, thresholds, gates: g, z },
          { sublayer, head: heads[layer] ?? 0, bias: head.bias },
        ),
        compact(arena, { z, plan }, { sublayer }),
      ],
      afterAttention: [],
      mlpSlot: planSlot(sublayer, capacity),
    }
  }
}
