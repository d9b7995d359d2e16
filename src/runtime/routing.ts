import type { Obey } from '../../shaders/snippets/obey.js'
import { planSlot } from '../../shaders/snippets/plan.js'
import type { Dispatch, ParamsArena } from '../gpu/dispatch.js'
import { compactKernel } from '../kernels/compact.js'
import { forcedMaskKernel } from '../kernels/forced-mask.js'
import { routerLinearKernel } from '../kernels/router-linear.js'
import { routerTwoLayerKernel } from '../kernels/router-two-layer.js'
import type { SkipPolicy } from '../skip/policy.js'
import type { Engine } from './engine.js'
import type { SequenceBuffers } from './sequence-buffers.js'

/** Dispatches that decide one layer: at its entry, and, for routers that read it, after attention. */
export interface LayerRouting {
  readonly atEntry: readonly Dispatch[]
  readonly afterAttention: readonly Dispatch[]
  /** How the kernels of each sublayer obey. */
  readonly attention: Obey
  readonly mlp: Obey
  readonly attentionSlot: number
  readonly mlpSlot: number
}

export interface RoutingOptions {
  engine: Engine
  policy: SkipPolicy
  buffers: SequenceBuffers
  arena: ParamsArena
  capacity: number
  /** One row per step: execute words go straight into the plan. */
  singleRow: boolean
  /** Compute skipped rows too and throw them away. */
  masked: boolean
}

/** Compiles what the policy needs and returns a function that binds it for one layer. */
export async function routing(o: RoutingOptions): Promise<(layer: number) => LayerRouting> {
  const score = await scorer(o)
  const gpu = o.engine.gpu
  const compact = {
    1: await compactKernel(gpu, { capacity: o.capacity, count: 1 }),
    2: await compactKernel(gpu, { capacity: o.capacity, count: 2 }),
  }
  const decide = (sublayer: number, count: 1 | 2): Dispatch[] => {
    const scored = score(sublayer, count)
    return o.singleRow ? [scored] : [scored, compact[count](o.arena, o.buffers, { sublayer })]
  }
  const readsEntry = o.policy.scoring?.kind !== 'routers' || o.policy.scoring.mlpInput === 'entry'
  const obey = (routed: boolean): Obey => (routed ? (o.masked ? 'masked' : 'skip') : 'always')

  return (layer) => {
    const attentionRouted = o.policy.decide(2 * layer) === 'routed'
    const mlpRouted = o.policy.decide(2 * layer + 1) === 'routed'
    const atEntry: Dispatch[] = []
    const afterAttention: Dispatch[] = []
    if (attentionRouted && mlpRouted && readsEntry) atEntry.push(...decide(2 * layer, 2))
    else {
      if (attentionRouted) atEntry.push(...decide(2 * layer, 1))
      if (mlpRouted) (readsEntry ? atEntry : afterAttention).push(...decide(2 * layer + 1, 1))
    }
    return {
      atEntry,
      afterAttention,
      attention: obey(attentionRouted),
      mlp: obey(mlpRouted),
      attentionSlot: planSlot(2 * layer, o.capacity),
      mlpSlot: planSlot(2 * layer + 1, o.capacity),
    }
  }
}

/** Compiles the policy's scoring kernel for one and for two neighbouring sublayers. */
async function scorer(o: RoutingOptions): Promise<(sublayer: number, count: 1 | 2) => Dispatch> {
  const { scoring } = o.policy
  const gpu = o.engine.gpu
  const common = { capacity: o.capacity, writesPlan: o.singleRow }
  if (!scoring) {
    return () => {
      throw new Error(`policy ${o.policy.name} routes a sublayer but has no scoring rule`)
    }
  }
  if (scoring.kind === 'lot') {
    const kernels = {
      1: await forcedMaskKernel(gpu, { ...common, count: 1 }),
      2: await forcedMaskKernel(gpu, { ...common, count: 2 }),
    }
    return (sublayer, count) => kernels[count](o.arena, o.buffers, { sublayer, seed: scoring.seed >>> 0 })
  }
  const { routers } = scoring
  const { d4 } = o.engine.shape
  const make = (count: 1 | 2) =>
    routers.kind === 'linear'
      ? routerLinearKernel(gpu, { ...common, d4, count })
      : routerTwoLayerKernel(gpu, { ...common, d4, count, width: routers.width })
  const kernels = { 1: await make(1), 2: await make(2) }
  return (sublayer, count) =>
    kernels[count](
      o.arena,
      { ...o.buffers, x: o.engine.scratch.x },
      { sublayer, weights: sublayer * o.buffers.routerStride, stride: o.buffers.routerStride },
    )
}
