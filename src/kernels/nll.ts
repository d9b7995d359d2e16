import { type NllOptions, nllShader } from '../../shaders/nll.wgsl.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'

/** Host side of shaders/nll.wgsl.ts. */
export async function nllKernel(gpu: GpuDevice, options: NllOptions) {
  const kernel = await gpu.pipelines.compile('nll', nllShader(options), ['read', 'read', 'read', 'write'])
  return (
    arena: ParamsArena,
    b: { plan: GPUBuffer; logits: GPUBuffer; targets: GPUBuffer; nll: GPUBuffer },
  ): Dispatch => bind(arena, kernel, [b.plan, b.logits, b.targets, b.nll], ({ rows }) => [rows, 1, 1])
}
