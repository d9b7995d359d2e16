import { type GateUpDecodeOptions, gateUpDecodeShader } from '../../shaders/gate-up-decode.wgsl.js'
import { rowsPerGroup } from '../../shaders/snippets/matvec.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'

/** Host side of shaders/gate-up-decode.wgsl.ts. */
export async function gateUpDecodeKernel(gpu: GpuDevice, options: GateUpDecodeOptions) {
  const kernel = await gpu.pipelines.compile('gate-up-decode', gateUpDecodeShader(options), [
    'read',
    'read',
    'read',
    'read',
    'write',
    'uniform',
  ])
  return (
    arena: ParamsArena,
    b: { plan: GPUBuffer; x: GPUBuffer; weights: GPUBuffer; vectors: GPUBuffer; a: GPUBuffer },
    params: { slot: number; norm: number; bias: number },
  ): Dispatch =>
    bind(arena, kernel, [b.plan, b.x, b.weights, b.vectors, b.a, [params.slot, params.norm, params.bias]], () => [
      Math.ceil(options.ff / rowsPerGroup(options.form)),
      1,
      1,
    ])
}
