import type { Dispatch, ParamsArena } from '../../gpu/dispatch.js'
import { gemmKernel } from '../../kernels/gemm.js'
import { rmsNormKernel } from '../../kernels/rms-norm.js'
import type { Gates } from '../../skip/gates.js'
import type { Engine } from '../engine.js'
import type { RoutingBuffers } from '../program.js'
import type { Target } from '../target.js'
import { gateResources, gateStride } from './gate-resources.js'

export type Kind = 'attention' | 'mlp'

/** W t + b of every row, with t what gates of this kind of sublayer read. */
export async function gateValues({ gpu, shape, choice }: Target, gates: Gates, kind: Kind) {
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
        outputStride: gateStride(outputs),
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
