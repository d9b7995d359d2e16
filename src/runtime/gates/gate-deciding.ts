import type { Positions } from '../../../shaders/snippets/plan.js'
import type { Dispatch, ParamsArena } from '../../gpu/dispatch.js'
import { compactKernel } from '../../kernels/compact.js'
import { gateScoresKernel } from '../../kernels/gate-scores.js'
import { poolGatesKernel } from '../../kernels/pool-gates.js'
import { quantileMarginsKernel } from '../../kernels/quantile-margins.js'
import type { Gates } from '../../skip/gates.js'
import type { Phase, Scoring } from '../../skip/policy.js'
import type { Engine } from '../engine.js'
import type { Deciding, RoutingBuffers } from '../program.js'
import type { Target } from '../target.js'
import { gateResources, gateStride } from './gate-resources.js'
import { gateValues, type Kind } from './gate-values.js'

/** What is decided: rows of a prompt or of a step, of one sequence or of a batch. */
interface When {
  readonly phase: Phase
  readonly positions: Positions
  readonly promptShare?: number | undefined
}

/**
 * How gates decide the rows of a chunk: (norm,) product, scores, compaction. A gate on a sublayer's input waits for what that is; one on
 * the layer's entry is read there.
 */
export async function gateDeciding(
  target: Target,
  scoring: Extract<Scoring, { kind: 'gates' }>,
  when: When,
): Promise<Deciding> {
  const { promptShare } = scoring
  const { ofLayers } = scoring.mlp ?? {}
  if (scoring.mlp && ofLayers)
    return (await import('./layer-deciding.js')).layerDeciding(target, scoring.mlp, ofLayers, when.positions)
  const [attention, mlp] = await Promise.all(
    (['attention', 'mlp'] as const).map((kind) => {
      const gates = scoring[kind]
      return gates && gateKernels(target, gates, kind, { ...when, promptShare })
    }),
  )
  return (engine, arena, buffers, layer, routed) => {
    const at = (kernels: typeof attention) => kernels?.(engine, arena, buffers, layer) ?? []
    const ofMlp = routed.mlp ? at(mlp) : []
    const atEntry = scoring.mlp?.reads === 'entry'
    return {
      entry: [...(routed.attention ? at(attention) : []), ...(atEntry ? ofMlp : [])],
      afterAttention: atEntry ? [] : ofMlp,
    }
  }
}

/**
 * A gate's values, what they decide, and the list of rows that run. Of a gate that pools, what begins a sequence decides: a step obeys, and in a
 * batch each sequence has brought what it obeys.
 */
async function gateKernels(target: Target, gates: Gates, kind: Kind, { phase, positions, promptShare }: When) {
  const { gpu, capacity } = target
  const { outputs, tie, pools } = gates
  const score = () => gateScoresKernel(gpu, { outputs, stride: gateStride(outputs), capacity, tieRuns: tie === 'runs' })
  const pool = () => (positions === 'consecutive' ? poolGatesKernel(gpu, { capacity }) : undefined)
  const share = phase === 'prefill' ? promptShare : undefined
  const [values, decide, rank, compact] = await Promise.all([
    pools && phase !== 'prefill' ? undefined : gateValues(target, gates, kind),
    pools ? pool() : score(),
    share === undefined ? undefined : quantileMarginsKernel(gpu, { capacity, share }),
    compactKernel(gpu, { capacity, count: 1 }),
  ])
  return (engine: Engine, arena: ParamsArena, buffers: RoutingBuffers, layer: number): Dispatch[] => {
    const { plan, thresholds, z } = buffers
    const { gates: g } = gateResources(engine, gates)
    const at = { sublayer: sublayerOf(layer, kind) }
    return [
      ...(values?.(engine, arena, buffers, layer) ?? []),
      ...(decide ? [decide(arena, { plan, gates: g, thresholds, z }, at)] : []),
      ...(rank ? [rank(arena, { plan, z }, at)] : []),
      compact(arena, { z, plan }, at),
    ]
  }
}

function sublayerOf(layer: number, kind: Kind): number {
  return 2 * layer + (kind === 'mlp' ? 1 : 0)
}
