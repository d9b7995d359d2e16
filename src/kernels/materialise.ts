import { type MaterialiseOptions, materialiseShader } from '../../shaders/materialise.wgsl.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'

/** Host side of shaders/materialise.wgsl.ts. Without LoRA, pass any buffer for `loraA` and `loraB`. */
export async function materialiseKernel(gpu: GpuDevice, options: MaterialiseOptions) {
  const bindings = ['read', 'write', 'read', 'read', 'uniform'] as const
  const kernel = await gpu.pipelines.compile('materialise', materialiseShader(options), bindings)
  return (
    arena: ParamsArena,
    b: { source: GPUBuffer; words: GPUBuffer; loraA: GPUBuffer; loraB: GPUBuffer },
    p: { rows: number; k: number; targetRow: number; rank: number; scale: number },
  ): Dispatch => {
    const k4 = Math.ceil(p.k / 4)
    const rowStep = Math.min(p.rows, 65535)
    const params = [p.rows, p.k, k4, p.targetRow, p.rank, { f32: p.scale }, rowStep]
    return bind(arena, kernel, [b.source, b.words, b.loraA, b.loraB, params], () => [Math.ceil(k4 / 64), rowStep, 1])
  }
}
