import { type RouterOptions, routerLinearShader } from '../../shaders/router-linear.wgsl.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'
import { lanesOfRow } from './group-lanes.js'

/** Host side of shaders/router-linear.wgsl.ts. */
export async function routerLinearKernel(
  gpu: GpuDevice,
  options: Omit<RouterOptions, 'lanes'>,
  lanes = lanesOfRow(gpu),
) {
  const kernel = await gpu.pipelines.compile('router-linear', routerLinearShader({ ...options, lanes }), [
    options.writesPlan ? 'write' : 'read',
    'read',
    'read',
    'read',
    'write',
    'uniform',
  ])
  return (
    arena: ParamsArena,
    b: { plan: GPUBuffer; x: GPUBuffer; routers: GPUBuffer; thresholds: GPUBuffer; z: GPUBuffer },
    params: { sublayer: number; weights: number; stride: number },
  ): Dispatch =>
    bind(
      arena,
      kernel,
      [b.plan, b.x, b.routers, b.thresholds, b.z, [params.sublayer, params.weights, params.stride, options.d4]],
      ({ rows }) => [rows, 1, 1],
    )
}
