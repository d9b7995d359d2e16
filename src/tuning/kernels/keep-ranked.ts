import { keepRankedShader } from '../../../shaders/keep-ranked.wgsl.js'
import type { GpuDevice } from '../../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../../gpu/dispatch.js'

/** Host side of shaders/keep-ranked.wgsl.ts. */
export async function keepRankedKernel(gpu: GpuDevice, options: { capacity: number }) {
  const kernel = await gpu.pipelines.compile('keep-ranked', keepRankedShader(options), [
    'read',
    'read',
    'read',
    'write',
    'uniform',
  ])
  return (
    arena: ParamsArena,
    b: { plan: GPUBuffer; settings: GPUBuffer; scores: GPUBuffer; kept: GPUBuffer },
    params: { sublayer: number },
  ): Dispatch =>
    bind(arena, kernel, [b.plan, b.settings, b.scores, b.kept, [params.sublayer]], ({ rows }) => [
      Math.ceil(rows / 64),
      1,
      1,
    ])
}
