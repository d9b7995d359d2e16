import { type EmbedOptions, embedShader } from '../../shaders/embed.wgsl.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'

/** Host side of shaders/embed.wgsl.ts. */
export async function embedKernel(gpu: GpuDevice, options: EmbedOptions) {
  const kernel = await gpu.pipelines.compile('embed', embedShader(options), ['read', 'read', 'read', 'write'])
  return (arena: ParamsArena, b: { plan: GPUBuffer; ids: GPUBuffer; table: GPUBuffer; x: GPUBuffer }): Dispatch =>
    bind(arena, kernel, [b.plan, b.ids, b.table, b.x], ({ rows }) => [Math.ceil(options.width4 / 64), rows, 1])
}
