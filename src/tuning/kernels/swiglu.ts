import { swigluShader } from '../../../shaders/swiglu.wgsl.js'
import type { GpuDevice } from '../../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../../gpu/dispatch.js'

/** Host side of shaders/swiglu.wgsl.ts. */
export async function swigluKernel(gpu: GpuDevice, options: { width4: number }) {
  const kernel = await gpu.pipelines.compile('swiglu', swigluShader(options), ['read', 'read', 'read', 'write'])
  return (arena: ParamsArena, b: { plan: GPUBuffer; gate: GPUBuffer; up: GPUBuffer; y: GPUBuffer }): Dispatch =>
    bind(arena, kernel, [b.plan, b.gate, b.up, b.y], ({ rows }) => [Math.ceil(options.width4 / 64), rows, 1])
}
