import type { Positions } from '../../../shaders/snippets/plan.js'
import type { Dispatch, ParamsArena } from '../../gpu/dispatch.js'
import { compactKernel } from '../../kernels/compact.js'
import { gateScoresKernel } from '../../kernels/gate-scores.js'
import { gemmKernel } from '../../kernels/gemm.js'
import { poolGatesKernel } from '../../kernels/pool-gates.js'
import { rmsNormKernel } from '../../kernels/rms-norm.js'
import type { Gates } from '../../skip/gates.js'
import type { Phase, Scoring } from '../../skip/policy.js'
import type { Engine } from '../engine.js'
import type { Deciding, RoutingBuffers } from '../program.js'
import type { Target } from '../target.js'
import { gateResources, gateStride } from './gate-resources.js'

type Kind = 'attention' | 'mlp'

/** What is decided: rows of a prompt or of a step, of one sequence or of a batch. */
interface When {
  readonly phase: Phase
  readonly positions: Positions
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
  const [attention, mlp] = await Promise.all(
    (['attention', 'mlp'] as const).map((kind) => {
      const gates = scoring[kind]
      return gates && gateKernels(target, gates, kind, when)
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
async function gateKernels(target: Target, gates: Gates, kind: Kind, { phase, positions }: When) {
  const { gpu, shape, capacity } = target
  const { outputs, tie, pools } = gates
  const score = () =>
    gateScoresKernel(gpu, { outputs, stride: gateStride(outputs, shape.d4), capacity, tieRuns: tie === 'runs' })
  const pool = () => (positions === 'consecutive' ? poolGatesKernel(gpu, { capacity }) : undefined)
  const [values, decide, compact] = await Promise.all([
    pools && phase !== 'prefill' ? undefined : gateValues(target, gates, kind),
    pools ? pool() : score(),
    compactKernel(gpu, { capacity, count: 1 }),
  ])
  return (engine: Engine, arena: ParamsArena, buffers: RoutingBuffers, layer: number): Dispatch[] => {
    const { plan, thresholds, z } = buffers
    const { gates: g } = gateResources(engine, gates)
    const at = { sublayer: sublayerOf(layer, kind) }
    return [
      ...(values?.(engine, arena, buffers, layer) ?? []),
      ...(decide ? [decide(arena, { plan, gates: g, thresholds, z }, at)] : []),
      compact(arena, { z, plan }, at),
    ]
  }
}

/** W t + b of every row. */
async function gateValues({ gpu, shape, choice }: Target, gates: Gates, kind: Kind) {
  const { outputs, reads } = gates
  const { d4, config } = shape
  const { hiddenSize: d, rmsNormEps: eps } = config
  const [norm, product] = await Promise.all([
    reads === 'normed' ? rmsNormKernel(gpu, { d, d4, eps, rows: 'all' }) : undefined,
    gemmKernel(
      gpu,
      {
        k4: d4,
        n: outputs,
        outputStride: gateStride(outputs, d4),
        dtype: 'f32',
        bias: true,
        rows: 'all',
        gather: false,
        epilogue: 'store',
        forms: choice.form.value.gemms,
      },
      'gemm gate',
    ),
  ])
  return (engine: Engine, arena: ParamsArena, { plan }: RoutingBuffers, layer: number): Dispatch[] => {
    const { x, u } = engine.scratch
    const { vectors, layers } = engine.weights
    const { weights, biases, firstBias, gates: y } = gateResources(engine, gates)
    const w = layers[layer]
    const weight = weights[layer]
    // A policy routes only what it has gates for.
    if (!w || !weight) return []
    const its = kind === 'mlp' ? w.postNorm : w.inputNorm
    return [
      ...(norm ? [norm(arena, { plan, x, vectors, u }, { slot: 0, norm: its })] : []),
      product(
        arena,
        { plan, x: norm ? u : x, weights: weight, vectors: biases, y },
        { slot: 0, firstRow: 0, bias: firstBias[layer] ?? 0, z: 0 },
      ),
    ]
  }
}

function sublayerOf(layer: number, kind: Kind): number {
  return 2 * layer + (kind === 'mlp' ? 1 : 0)
}
