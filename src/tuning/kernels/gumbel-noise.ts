import { GUMBEL_ROW, gumbelNoiseShader } from '../../../shaders/gumbel-noise.wgsl.js'
import type { GpuDevice } from '../../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../../gpu/dispatch.js'

/** Host side of shaders/gumbel-noise.wgsl.ts, for `count` values. */
export async function gumbelNoiseKernel(gpu: GpuDevice, count: number) {
  const kernel = await gpu.pipelines.compile('gumbel-noise', gumbelNoiseShader(), ['read', 'write', 'uniform'])
  return (arena: ParamsArena, b: { seed: GPUBuffer; noise: GPUBuffer }): Dispatch =>
    bind(arena, kernel, [b.seed, b.noise, [count]], () => [
      Math.min(Math.ceil(count / 64), GUMBEL_ROW / 64),
      Math.ceil(count / GUMBEL_ROW),
      1,
    ])
}
