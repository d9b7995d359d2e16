import { type DownDecodeOptions, downDecodeShader } from '../../shaders/down-decode.wgsl.js'
import { rowsPerGroup } from '../../shaders/snippets/matvec.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'

/** Host side of shaders/down-decode.wgsl.ts; `label` says whose product it is. */
export async function downDecodeKernel(gpu: GpuDevice, options: DownDecodeOptions, label = 'down-decode') {
  const kernel = await gpu.pipelines.compile(label, downDecodeShader(options), [
    'read',
    'read',
    'read',
    'read',
    'write',
    'uniform',
  ])
  return (
    arena: ParamsArena,
    b: { plan: GPUBuffer; a: GPUBuffer; weights: GPUBuffer; vectors: GPUBuffer; x: GPUBuffer },
    params: { slot: number; bias: number },
  ): Dispatch =>
    // The pipeline may be another product's, of the same sizes.
    bind(arena, { ...kernel, label }, [b.plan, b.a, b.weights, b.vectors, b.x, [params.slot, params.bias]], () => [
      Math.ceil(options.d / rowsPerGroup(options.form)),
      1,
      1,
    ])
}
