import { type RouterTwoLayerOptions, routerTwoLayerShader } from '../../shaders/router-two-layer.wgsl.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'
import { lanesOfRow } from './group-lanes.js'

/** Host side of shaders/router-two-layer.wgsl.ts. */
export async function routerTwoLayerKernel(
  gpu: GpuDevice,
  options: Omit<RouterTwoLayerOptions, 'lanes'>,
  lanes = lanesOfRow(gpu),
) {
  const kernel = await gpu.pipelines.compile('router-two-layer', routerTwoLayerShader({ ...options, lanes }), [
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
      [
        b.plan,
        b.x,
        b.routers,
        b.thresholds,
        b.z,
        [params.sublayer, params.weights, params.stride, options.width, options.d4],
      ],
      ({ rows }) => [rows, 1, 1],
    )
}
