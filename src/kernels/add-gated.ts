import { type AddGatedOptions, addGatedShader } from '../../shaders/add-gated.wgsl.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'

/** Host side of shaders/add-gated.wgsl.ts. */
export async function addGatedKernel(gpu: GpuDevice, options: AddGatedOptions) {
  const bindings = ['read', 'read', 'read', 'write', 'uniform', options.masked ? 'read' : 'none'] as const
  const kernel = await gpu.pipelines.compile('add-gated', addGatedShader(options), bindings)
  return (
    arena: ParamsArena,
    b: { plan: GPUBuffer; branch: GPUBuffer; gates: GPUBuffer; x: GPUBuffer; z: GPUBuffer },
    { slot, z, offset, gain }: { slot: number; z: number; offset: number; gain: number },
  ): Dispatch =>
    bind(
      arena,
      kernel,
      [b.plan, b.branch, b.gates, b.x, [slot, z, { f32: offset }, { f32: gain }], b.z],
      ({ rows }) => [rows, 1, 1],
    )
}
