import type { Dispatch, ParamsArena } from '../../gpu/dispatch.js'
import { compactKernel } from '../../kernels/compact.js'
import { gateScoresKernel } from '../../kernels/gate-scores.js'
import { gemmKernel } from '../../kernels/gemm.js'
import { rmsNormKernel } from '../../kernels/rms-norm.js'
import type { Gates } from '../../skip/gates.js'
import type { Scoring } from '../../skip/policy.js'
import type { Engine } from '../engine.js'
import type { Deciding, RoutingBuffers } from '../routing.js'
import type { Target } from '../target.js'
import { gateResources, gateStride } from './gate-resources.js'

type Kind = 'attention' | 'mlp'

/**
 * How gates decide the rows of a chunk: (norm,) product, scores, compaction. A gate on a sublayer's input waits for what that is; one on
 * the layer's entry is read there.
 */
export async function gateDeciding(target: Target, scoring: Extract<Scoring, { kind: 'gates' }>): Promise<Deciding> {
  const [attention, mlp] = await Promise.all(
    (['attention', 'mlp'] as const).map((kind) => {
      const gates = scoring[kind]
      return gates && gateKernels(target, gates, kind)
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

async function gateKernels({ gpu, shape, capacity, choice }: Target, gates: Gates, kind: Kind) {
  const { outputs, reads, tie } = gates
  const { d4, config } = shape
  const stride = gateStride(outputs, d4)
  const [norm, product, score, compact] = await Promise.all([
    reads === 'normed'
      ? rmsNormKernel(gpu, { d: config.hiddenSize, d4, eps: config.rmsNormEps, rows: 'all' })
      : undefined,
    gemmKernel(
      gpu,
      {
        k4: d4,
        n: outputs,
        outputStride: stride,
        dtype: 'f32',
        bias: true,
        rows: 'all',
        gather: false,
        epilogue: 'store',
        forms: choice.form.value.gemms,
      },
      'gemm gate',
    ),
    gateScoresKernel(gpu, { outputs, stride, capacity, tieRuns: tie === 'runs' }),
    compactKernel(gpu, { capacity, count: 1 }),
  ])
  return (engine: Engine, arena: ParamsArena, buffers: RoutingBuffers, layer: number): Dispatch[] => {
    const { x, u } = engine.scratch
    const { vectors, layers } = engine.weights
    const { plan, thresholds, z } = buffers
    const { weights, biases, firstBias, gates: g } = gateResources(engine, gates)
    const w = layers[layer]
    const weight = weights[layer]
    // A policy routes only what it has gates for.
    if (!w || !weight) return []
    const sublayer = 2 * layer + (kind === 'mlp' ? 1 : 0)
    const read = norm ? u : x
    const its = kind === 'mlp' ? w.postNorm : w.inputNorm
    return [
      ...(norm ? [norm(arena, { plan, x, vectors, u }, { slot: 0, norm: its })] : []),
      product(
        arena,
        { plan, x: read, weights: weight, vectors: biases, y: g },
        { slot: 0, firstRow: 0, bias: firstBias[layer] ?? 0, z: 0 },
      ),
      score(arena, { plan, gates: g, thresholds, z }, { sublayer }),
      compact(arena, { z, plan }, { sublayer }),
    ]
  }
}
