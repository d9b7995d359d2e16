import type { Obey } from '../../shaders/snippets/obey.js'
import { type Positions, planSlot } from '../../shaders/snippets/plan.js'
import type { Dispatch, ParamsArena } from '../gpu/dispatch.js'
import { compactKernel } from '../kernels/compact.js'
import { forcedMaskKernel } from '../kernels/forced-mask.js'
import { routerLinearKernel } from '../kernels/router-linear.js'
import { routerTwoLayerKernel } from '../kernels/router-two-layer.js'
import type { Phase, SkipPolicy } from '../skip/policy.js'
import { makesKeysValues } from '../skip/static-skips.js'
import type { Engine } from './engine.js'
import { obeyOf } from './per-obey.js'
import type { LayerProgram, Need, Variant } from './program.js'
import type { PolicyBuffers, SequenceBuffers } from './sequence-buffers.js'
import type { Target } from './target.js'

/** What decides rows: a sequence's buffers, or a batch's. */
export type RoutingBuffers = PolicyBuffers & Pick<SequenceBuffers, 'plan' | 'z'>

/** How one layer is decided, and how the kernels of its sublayers obey. */
export interface LayerRouting {
  readonly attention: Obey | undefined
  readonly mlp: Obey | undefined
  readonly attentionSlot: number
  readonly mlpSlot: number
  readonly hasKeysValues: boolean
  /** The dispatches that decide: at the layer's entry, and, for routers that read it, after attention. */
  readonly program: Pick<LayerProgram, 'entry' | 'afterAttention' | 'needs'>
}

/**
 * Compiles what the policy needs and returns a function that binds it for one layer. `singleRow`: one row per step, execute words go
 * straight into the plan.
 */
export async function routingKernels(
  target: Target,
  variant: Variant,
  { phase, singleRow, positions }: { phase: Phase; singleRow: boolean; positions: Positions },
): Promise<(engine: Engine, arena: ParamsArena, buffers: RoutingBuffers, layer: number) => LayerRouting> {
  const { gpu, capacity } = target
  const { policy } = variant
  // One row needs no list of the rows that run.
  const gathers = policy.scoring !== undefined && !singleRow
  const [score, one, both] = await Promise.all([
    scorer(target, policy, { capacity, writesPlan: singleRow, positions }),
    gathers && compactKernel(gpu, { capacity, count: 1 }),
    gathers && compactKernel(gpu, { capacity, count: 2 }),
  ])
  const compact = one && both && { 1: one, 2: both }
  const readsEntry = policy.scoring?.kind !== 'routers' || policy.scoring.mlpInput === 'entry'

  return (engine, arena, buffers, layer) => {
    const decide = (sublayer: number, count: 1 | 2): Dispatch[] => {
      const scored = score(engine, arena, buffers, sublayer, count)
      return compact ? [scored, compact[count](arena, buffers, { sublayer })] : [scored]
    }
    const attentionRouted = policy.decide(2 * layer, phase) === 'routed'
    const mlpRouted = policy.decide(2 * layer + 1, phase) === 'routed'
    const entry: Dispatch[] = []
    const afterAttention: Dispatch[] = []
    if (attentionRouted && mlpRouted && readsEntry) entry.push(...decide(2 * layer, 2))
    else {
      if (attentionRouted) entry.push(...decide(2 * layer, 1))
      if (mlpRouted) (readsEntry ? entry : afterAttention).push(...decide(2 * layer + 1, 1))
    }
    const attentionSlot = planSlot(2 * layer, capacity)
    const mlpSlot = planSlot(2 * layer + 1, capacity)
    const attention = obeyOf(variant, 2 * layer, phase)
    const mlp = obeyOf(variant, 2 * layer + 1, phase)
    const need = (obey: Obey, slot: number): Need => (obey === 'skip' ? { word: slot } : 'all')
    const projects = makesKeysValues(policy, layer, phase)
    const needs: LayerProgram['needs'] = {
      ...(projects && { keysValues: 'all' }),
      ...(attention && { attention: need(attention, attentionSlot) }),
      ...(mlp && { mlp: need(mlp, mlpSlot) }),
    }
    return {
      attention,
      mlp,
      attentionSlot,
      mlpSlot,
      hasKeysValues: projects,
      program: { entry, afterAttention, needs },
    }
  }
}

type Score = (engine: Engine, arena: ParamsArena, buffers: RoutingBuffers, sublayer: number, count: 1 | 2) => Dispatch

/** Compiles the policy's scoring kernel for one and for two neighbouring sublayers. */
async function scorer(
  { gpu, shape }: Target,
  { name, scoring }: SkipPolicy,
  { positions, ...common }: { capacity: number; writesPlan: boolean; positions: Positions },
): Promise<Score> {
  if (!scoring) {
    return () => {
      throw new Error(`policy ${name} routes a sublayer but has no scoring rule`)
    }
  }
  if (scoring.kind === 'lot') {
    const [one, two] = await Promise.all([
      forcedMaskKernel(gpu, { ...common, positions, count: 1 }),
      forcedMaskKernel(gpu, { ...common, positions, count: 2 }),
    ])
    const kernels = { 1: one, 2: two }
    return (_, arena, buffers, sublayer, count) =>
      kernels[count](arena, buffers, { sublayer, seed: scoring.seed >>> 0 })
  }
  const { routers } = scoring
  const { d4 } = shape
  const make = (count: 1 | 2) =>
    routers.kind === 'linear'
      ? routerLinearKernel(gpu, { ...common, d4, count })
      : routerTwoLayerKernel(gpu, { ...common, d4, count, width: routers.width })
  const [one, two] = await Promise.all([make(1), make(2)])
  const kernels = { 1: one, 2: two }
  return ({ scratch }, arena, buffers, sublayer, count) =>
    kernels[count](
      arena,
      { ...buffers, x: scratch.x },
      { sublayer, weights: sublayer * buffers.routerStride, stride: buffers.routerStride },
    )
}
