import { type RouterTwoLayerOptions, routerTwoLayerShader } from '../../shaders/router-two-layer.wgsl.js'
import { rowGroups } from '../../shaders/snippets/row-lanes.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'
import { lanesOfRow } from './group-lanes.js'
import type { RouterBuffers } from './router-linear.js'

/** Host side of shaders/router-two-layer.wgsl.ts. */
export async function routerTwoLayerKernel(
  gpu: GpuDevice,
  options: Omit<RouterTwoLayerOptions, 'lanes'>,
  lanes: number = lanesOfRow(gpu, { isAlone: options.writesPlan }),
) {
  const kernel = await gpu.pipelines.compile('router-two-layer', routerTwoLayerShader({ ...options, lanes }), [
    options.writesPlan ? 'write' : 'read',
    'read',
    'read',
    'read',
    'write',
    'uniform',
    options.norm ? 'read' : 'none',
    options.norm ? 'write' : 'none',
  ])
  return (
    arena: ParamsArena,
    b: RouterBuffers,
    params: { sublayer: number; weights: number; stride: number; norm: number },
  ): Dispatch => {
    const numbers = [params.sublayer, params.weights, params.stride, options.width, options.d4, params.norm]
    const resources = [b.plan, b.x, b.routers, b.thresholds, b.z, numbers, b.vectors, b.u]
    return bind(arena, kernel, resources, rowGroups({ lanes }))
  }
}
