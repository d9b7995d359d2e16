import { type GemmOptions, gemmShader } from '../../shaders/gemm.wgsl.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'

/** Host side of shaders/gemm.wgsl.ts. `z` is bound for the masked epilogue only. */
export async function gemmKernel(gpu: GpuDevice, options: GemmOptions) {
  const { rows: tileRows, columns, lanesX, lanesY } = options.form
  const z = options.epilogue === 'add-masked' ? 'read' : 'none'
  const bindings = ['read', 'read', 'read', 'read', 'write', 'uniform', z] as const
  const kernel = await gpu.pipelines.compile('gemm', gemmShader(options), bindings)
  return (
    arena: ParamsArena,
    b: { plan: GPUBuffer; x: GPUBuffer; weights: GPUBuffer; vectors: GPUBuffer; y: GPUBuffer; z?: GPUBuffer },
    params: { slot: number; firstRow: number; bias: number; z: number },
  ): Dispatch =>
    bind(
      arena,
      kernel,
      [b.plan, b.x, b.weights, b.vectors, b.y, [params.slot, params.firstRow, params.bias, params.z], b.z],
      ({ rows }) => [Math.ceil(options.n / (columns * lanesX)), Math.ceil(rows / (tileRows * lanesY)), 1],
    )
}
