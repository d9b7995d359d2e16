import { swigluBackwardShader } from '../../../shaders/swiglu-backward.wgsl.js'
import type { GpuDevice } from '../../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../../gpu/dispatch.js'

/** Host side of shaders/swiglu-backward.wgsl.ts. */
export async function swigluBackwardKernel(gpu: GpuDevice, options: { width4: number }) {
  const kernel = await gpu.pipelines.compile('swiglu-backward', swigluBackwardShader(options), [
    'read',
    'read',
    'write',
    'write',
  ])
  return (arena: ParamsArena, b: { plan: GPUBuffer; dy: GPUBuffer; gate: GPUBuffer; up: GPUBuffer }): Dispatch =>
    bind(arena, kernel, [b.plan, b.dy, b.gate, b.up], ({ rows }) => [Math.ceil(options.width4 / 64), rows, 1])
}
