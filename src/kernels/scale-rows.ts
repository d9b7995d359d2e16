import { type ScaleRowsOptions, scaleRowsShader } from '../../shaders/scale-rows.wgsl.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'

/** Host side of shaders/scale-rows.wgsl.ts. */
export async function scaleRowsKernel(gpu: GpuDevice, options: ScaleRowsOptions) {
  const kernel = await gpu.pipelines.compile('scale-rows', scaleRowsShader(options), ['read', 'write', 'uniform'])
  return (arena: ParamsArena, b: { plan: GPUBuffer; x: GPUBuffer }, { scale }: { scale: number }): Dispatch =>
    bind(arena, kernel, [b.plan, b.x, [{ f32: scale }]], ({ rows }) => [rows, 1, 1])
}
