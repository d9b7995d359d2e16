import { type FillSkippedOptions, fillSkippedShader } from '../../shaders/fill-skipped.wgsl.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'

/** Host side of shaders/fill-skipped.wgsl.ts: of all rows of a chunk, or of one row. */
export async function fillSkippedKernel(gpu: GpuDevice, options: FillSkippedOptions) {
  const kernel = await gpu.pipelines.compile('fill-skipped', fillSkippedShader(options), [
    'read',
    'read',
    'write',
    options.with === 'below' ? 'read' : 'none',
    'uniform',
  ])
  return (
    arena: ParamsArena,
    b: { plan: GPUBuffer; z: GPUBuffer; kv: GPUBuffer; below?: GPUBuffer | undefined },
    params: { z: number; row?: number | undefined },
  ): Dispatch =>
    bind(arena, kernel, [b.plan, b.z, b.kv, b.below, [params.z, params.row ?? 0]], ({ rows }) => [
      params.row === undefined ? rows : 1,
      1,
      1,
    ])
}
