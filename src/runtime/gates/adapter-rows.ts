import { planSlot } from '../../../shaders/snippets/plan.js'
import type { Dispatch, ParamsArena } from '../../gpu/dispatch.js'
import { addGatedKernel } from '../../kernels/add-gated.js'
import { gemmKernel } from '../../kernels/gemm.js'
import { rmsNormKernel } from '../../kernels/rms-norm.js'
import type { Adapters, LayerGates } from '../../skip/gates.js'
import type { Engine } from '../engine.js'
import type { Target } from '../target.js'
import { branchOf } from './gate-resources.js'
import { layerResources } from './layer-resources.js'

/** Compiles what the rows that skip a layer get instead: x += (1 − g) · adapter(n(x)), of the rows that the slot of the layer's MLP lists. */
export async function adapterRows(
  { gpu, shape, capacity, choice }: Target,
  its: LayerGates,
  { units, dtype }: Adapters,
) {
  const { d4, config } = shape
  const { hiddenSize: d, rmsNormEps: eps } = config
  const units4 = Math.ceil(units / 4)
  const product = { dtype, bias: true, rows: 'active', gather: false, forms: choice.form.value.gemms } as const
  const inside = { ...product, k4: d4, n: units, outputStride: 4 * units4, epilogue: 'silu-up' } as const
  const [norm, gateUp, down, add] = await Promise.all([
    rmsNormKernel(gpu, { d, d4, eps, rows: 'active' }),
    gemmKernel(gpu, inside, 'gemm adapter'),
    gemmKernel(gpu, { ...product, k4: units4, n: d, outputStride: 4 * d4, epilogue: 'store' }, 'gemm adapter'),
    addGatedKernel(gpu, { d4, gate: 'scalar', rows: 'active', masked: false }),
  ])
  const rows = (
    engine: Engine,
    arena: ParamsArena,
    { plan, z }: { readonly plan: GPUBuffer; readonly z: GPUBuffer },
    layer: number,
  ): Dispatch[] => {
    const { vectors: biases, adapters, gates, inner } = layerResources(engine, its)
    const { weights, scratch } = engine
    const adapter = adapters[layer]
    const norms = weights.layers[layer]
    // A policy routes only what it has adapters for.
    if (!adapter || !norms) return []
    const { x, u } = scratch
    const branch = branchOf(engine)
    const slot = planSlot(2 * layer + 1, capacity)
    const at = { slot, firstRow: 0, z: 0 }
    return [
      norm(arena, { plan, x, vectors: weights.vectors, u }, { slot, norm: norms.postNorm }),
      gateUp(
        arena,
        { plan, x: u, weights: adapter.gateUp, vectors: biases, y: inner },
        { ...at, bias: adapter.gateUpBias },
      ),
      down(
        arena,
        { plan, x: inner, weights: adapter.down, vectors: biases, y: branch },
        { ...at, bias: adapter.downBias },
      ),
      add(arena, { plan, branch, gates, x, z }, { slot, z: 0, offset: 1, gain: -1 }),
    ]
  }
  /** f32 [capacity] */
  const gatesOn = (engine: Engine) => layerResources(engine, its).gates
  return { rows, gatesOn }
}
