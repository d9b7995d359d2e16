import type { Obey } from '../../shaders/snippets/obey.js'
import type { Dispatch, ParamsArena } from '../gpu/dispatch.js'
import { rmsNormKernel } from '../kernels/rms-norm.js'
import type { LayerWeights } from '../model/weights.js'
import type { SkipPolicy } from '../skip/policy.js'
import type { Engine } from './engine.js'
import { joining } from './joining.js'
import { layerGemm, type RowsOf } from './layer-gemm.js'
import type { SequenceBuffers } from './sequence-buffers.js'
import type { Target } from './target.js'

/** Compiles the MLP for the rows of a chunk: of all of them, or of the active ones, gathered into neighbouring rows and scattered back. */
export async function mlpRows(target: Target, policy: SkipPolicy, obey: Obey, of: RowsOf = 'prompt') {
  const { shape, gpu } = target
  const { config, d4, ff4 } = shape
  const { hiddenSize: d, intermediateSize, rmsNormEps: eps, mlpBias: bias } = config
  const rows = obey === 'skip' ? 'active' : 'all'
  const join = await joining(target, policy, obey, 'mlp')
  const [norm, gateUp, down] = await Promise.all([
    rmsNormKernel(gpu, { d, d4, eps, rows }),
    layerGemm(target, 'gateUp', {
      k4: d4,
      n: intermediateSize,
      outputStride: 4 * ff4,
      bias,
      rows,
      gather: false,
      epilogue: 'silu-up',
      of,
    }),
    layerGemm(target, 'down', {
      k4: ff4,
      n: d,
      outputStride: 4 * d4,
      bias,
      rows,
      gather: false,
      epilogue: join.epilogue,
      of,
    }),
  ])
  return (
    engine: Engine,
    arena: ParamsArena,
    { plan, z }: Pick<SequenceBuffers, 'plan' | 'z'>,
    { layer, weights: w, mlpSlot: slot }: { layer: number; weights: LayerWeights; mlpSlot: number },
  ): Dispatch[] => {
    const { x, u, inner } = engine.scratch
    const { vectors } = engine.weights
    return [
      norm(arena, { plan, x, vectors, u }, { slot, norm: w.postNorm }),
      gateUp(layer)(
        arena,
        { plan, x: u, weights: w.gateUp, vectors, y: inner },
        { slot, firstRow: 0, bias: w.gateUpBias, z: 0 },
      ),
      down(layer)(
        arena,
        { plan, x: inner, weights: w.down, vectors, y: join.into(engine), z },
        { slot, firstRow: 0, bias: w.downBias, z: (2 * layer + 1) * target.capacity },
      ),
      ...join.after(engine, arena, { plan, z }, { layer, slot }),
    ]
  }
}
