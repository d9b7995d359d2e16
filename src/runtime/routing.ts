import type { RowNorm } from '../../shaders/snippets/norm.js'
import type { Obey } from '../../shaders/snippets/obey.js'
import { type Positions, planSlot, type Rows } from '../../shaders/snippets/plan.js'
import type { ScoreOptions } from '../../shaders/snippets/score.js'
import type { Dispatch, ParamsArena } from '../gpu/dispatch.js'
import { compactKernel } from '../kernels/compact.js'
import { routerLinearKernel } from '../kernels/router-linear.js'
import type { LayerWeights } from '../model/weights.js'
import type { Phase, Scoring, SkipPolicy } from '../skip/policy.js'
import { leftBySkipping, makesKeysValues } from '../skip/static-skips.js'
import type { Engine } from './engine.js'
import { obeyOf } from './per-obey.js'
import type { Deciding, LayerProgram, Need, RoutingBuffers, Variant } from './program.js'
import type { Target } from './target.js'

/** How one layer is decided, and how the kernels of its sublayers obey. */
export interface LayerRouting {
  readonly attention: Obey | undefined
  readonly mlp: Obey | undefined
  readonly attentionSlot: number
  readonly mlpSlot: number
  /** The rows that get keys and values of their own, and where the others leave something else. */
  readonly keysValues: { readonly rows: Rows; readonly left: SkipPolicy['skipped'] } | undefined
  /** The dispatches that decide: at the layer's entry, and, for routers that read it, after attention. */
  readonly program: Pick<LayerProgram, 'entry' | 'afterAttention' | 'needs'>
  /** Inputs that what decides has left normalised in `scratch.u`. */
  readonly normed: { readonly attention: boolean; readonly mlp: boolean }
}

/**
 * Compiles what the policy needs and returns a function that binds it for one layer. `singleRow`: one row per step, execute words go
 * straight into the plan. `normalises`: where a router reads what a sublayer gets normalised, it normalises it as well. With several rows the MLP
 * has a norm of its own, which gathers those that run.
 */
export async function routingKernels(
  target: Target,
  variant: Variant,
  { normalises, ...when }: When & { readonly normalises: boolean },
): Promise<(engine: Engine, arena: ParamsArena, buffers: RoutingBuffers, layer: number) => LayerRouting> {
  const { capacity } = target
  const { policy } = variant
  const { phase } = when
  const isNormed = normalises && policy.scoring?.kind !== 'gates'
  const decide = await deciding(target, policy, { ...when, normalises: isNormed })

  return (engine, arena, buffers, layer) => {
    const isRouted = (sublayer: number) => policy.decide(sublayer, phase) === 'routed'
    const routed = { attention: isRouted(2 * layer), mlp: isRouted(2 * layer + 1) }
    const attentionSlot = planSlot(2 * layer, capacity)
    const { mlpSlot = planSlot(2 * layer + 1, capacity), ...decided } = decide(engine, arena, buffers, layer, routed)
    const attention = obeyOf(variant, 2 * layer, phase)
    const mlp = obeyOf(variant, 2 * layer + 1, phase)
    const need = (obey: Obey, slot: number): Need => (obey === 'skip' ? { word: slot } : 'all')
    const projects = makesKeysValues(policy, layer, phase)
    const left = leftBySkipping(policy, layer, phase)
    const rows: Rows = left && attention === 'skip' ? 'active' : 'all'
    const needs: LayerProgram['needs'] = {
      ...(projects && { keysValues: rows === 'all' ? 'all' : { word: attentionSlot } }),
      ...(attention && { attention: need(attention, attentionSlot) }),
      ...(mlp && { mlp: need(mlp, mlpSlot) }),
    }
    return {
      attention,
      mlp,
      attentionSlot,
      mlpSlot,
      keysValues: projects ? { rows, left } : undefined,
      program: { ...decided, needs },
      normed: {
        attention: isNormed && decided.entry.length > 0,
        mlp: isNormed && when.singleRow && decided.afterAttention.length > 0,
      },
    }
  }
}

interface When {
  readonly phase: Phase
  readonly singleRow: boolean
  readonly positions: Positions
}

/** Compiles what decides. Few models have gates: these are loaded for them. */
async function deciding(
  target: Target,
  policy: SkipPolicy,
  when: When & { readonly normalises: boolean },
): Promise<Deciding> {
  const { singleRow, positions, normalises } = when
  const { gpu, capacity, shape } = target
  const { hiddenSize: d, rmsNormEps: eps } = shape.config
  const { scoring } = policy
  if (scoring?.kind === 'gates') return (await import('./gates/gate-deciding.js')).gateDeciding(target, scoring, when)
  const readsEntry = scoring?.kind !== 'routers' || scoring.mlpInput === 'entry'
  const counts = countsOf(policy, when.phase, { layers: shape.config.layers, readsEntry })
  // One row needs no list of the rows that run.
  const gathers = scoring !== undefined && !singleRow
  const scorerWith = (norm: RowNorm | undefined) =>
    scorer(target, { name: policy.name, scoring }, counts, { capacity, writesPlan: singleRow, positions, norm })
  const norm = { d, eps }
  const [atEntry, behind, compact] = await Promise.all([
    scorerWith(normalises ? norm : undefined),
    readsEntry ? undefined : scorerWith(normalises && singleRow ? norm : undefined),
    gathers ? byCount(counts, (count) => compactKernel(gpu, { capacity, count })) : undefined,
  ])

  return (engine, arena, buffers, layer, { attention, mlp }) => {
    const { inputNorm, postNorm } = engine.weights.layers[layer] as LayerWeights
    const decide = (score: Score, at: { sublayer: number; norm: number }, count: Count): Dispatch[] => {
      const scored = score(engine, arena, buffers, at, count)
      return compact ? [scored, compact(count)(arena, buffers, at)] : [scored]
    }
    const first = { sublayer: 2 * layer, norm: inputNorm }
    const second = { sublayer: 2 * layer + 1, norm: inputNorm }
    const entry: Dispatch[] = []
    const afterAttention: Dispatch[] = []
    if (attention && mlp && !behind) entry.push(...decide(atEntry, first, 2))
    else {
      if (attention) entry.push(...decide(atEntry, first, 1))
      if (mlp && behind) afterAttention.push(...decide(behind, { ...second, norm: postNorm }, 1))
      else if (mlp) entry.push(...decide(atEntry, second, 1))
    }
    return { entry, afterAttention }
  }
}

/** Neighbouring sublayers that are decided at once. */
type Count = 1 | 2

/** Those that some layer needs. */
function countsOf(
  policy: SkipPolicy,
  phase: Phase,
  { layers, readsEntry }: { layers: number; readsEntry: boolean },
): ReadonlySet<Count> {
  const isRouted = (sublayer: number) => policy.decide(sublayer, phase) === 'routed'
  const counts = Array.from({ length: layers }, (_, layer): Count | undefined => {
    const [attention, mlp] = [isRouted(2 * layer), isRouted(2 * layer + 1)]
    return attention && mlp && readsEntry ? 2 : attention || mlp ? 1 : undefined
  })
  return new Set(counts.filter((count) => count !== undefined))
}

/** A kernel for each of these. */
async function byCount<T>(
  counts: ReadonlySet<Count>,
  make: (count: Count) => Promise<T>,
): Promise<(count: Count) => T> {
  const made = new Map(await Promise.all([...counts].map(async (count) => [count, await make(count)] as const)))
  return (count) => made.get(count) as T
}

type Score = (
  engine: Engine,
  arena: ParamsArena,
  buffers: RoutingBuffers,
  at: { readonly sublayer: number; readonly norm: number },
  count: Count,
) => Dispatch

/** Compiles the policy's scoring kernel. */
async function scorer(
  { gpu, shape }: Target,
  { name, scoring }: Pick<SkipPolicy, 'name'> & { readonly scoring?: Exclude<Scoring, { kind: 'gates' }> | undefined },
  counts: ReadonlySet<Count>,
  { positions, ...common }: ScoreOptions & { positions: Positions },
): Promise<Score> {
  const { d4 } = shape
  if (!scoring) {
    return () => {
      throw new Error(`policy ${name} routes a sublayer but has no scoring rule`)
    }
  }
  if (scoring.kind === 'lot') {
    // For benchmarks and tests.
    const { forcedMaskKernel } = await import('../kernels/forced-mask.js')
    const kernels = await byCount(counts, (count) => forcedMaskKernel(gpu, { ...common, d4, positions, count }))
    return ({ scratch: { x, u }, weights: { vectors } }, arena, buffers, at, count) =>
      kernels(count)(arena, { ...buffers, x, u, vectors }, { ...at, seed: scoring.seed >>> 0 })
  }
  const { routers } = scoring
  const kernels = await byCount(counts, async (count) => {
    if (routers.kind === 'linear') return routerLinearKernel(gpu, { ...common, d4, count })
    // For the models that have such.
    const { routerTwoLayerKernel } = await import('../kernels/router-two-layer.js')
    return routerTwoLayerKernel(gpu, { ...common, d4, count, width: routers.width })
  })
  return ({ scratch: { x, u }, weights: { vectors } }, arena, { routerStride: stride, ...buffers }, at, count) =>
    kernels(count)(arena, { ...buffers, x, u, vectors }, { ...at, weights: at.sublayer * stride, stride })
}
