import { type QuantiseOptions, quantiseShader } from '../../shaders/quantise.wgsl.js'
import { blocksOf, rowWords, scalesAt } from '../../shaders/snippets/weights.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'

/** Host side of shaders/quantise.wgsl.ts. Without LoRA, pass any buffer for `loraA` and `loraB`. */
export async function quantiseKernel(gpu: GpuDevice, options: QuantiseOptions) {
  const bindings = ['read', 'write', 'read', 'read', 'uniform'] as const
  const kernel = await gpu.pipelines.compile('quantise', quantiseShader(options), bindings)
  return (
    arena: ParamsArena,
    b: { source: GPUBuffer; words: GPUBuffer; loraA: GPUBuffer; loraB: GPUBuffer },
    p: { rows: number; k: number; targetRow: number; rank: number; scale: number },
  ): Dispatch => {
    const k4 = Math.ceil(p.k / 4)
    const blocks = blocksOf(k4)
    const rowStep = Math.min(p.rows, 65535)
    const perRow = rowWords(k4, options.to)
    const params = [p.rows, p.k, blocks, p.targetRow, p.rank, { f32: p.scale }, rowStep, perRow]
    const groups = Math.ceil((perRow - scalesAt(k4, options.to)) / 64)
    return bind(arena, kernel, [b.source, b.words, b.loraA, b.loraB, params], () => [groups, rowStep, 1])
  }
}
