import { type RouterOptions, routerLinearShader } from '../../shaders/router-linear.wgsl.js'
import { rowGroups } from '../../shaders/snippets/row-lanes.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'
import { lanesOfRow } from './group-lanes.js'

/** `vectors` and `u` are bound where the kernel normalises on the way. */
export interface RouterBuffers {
  plan: GPUBuffer
  x: GPUBuffer
  routers: GPUBuffer
  thresholds: GPUBuffer
  z: GPUBuffer
  vectors?: GPUBuffer
  u?: GPUBuffer
}

/** Host side of shaders/router-linear.wgsl.ts. */
export async function routerLinearKernel(
  gpu: GpuDevice,
  options: Omit<RouterOptions, 'lanes'>,
  lanes: number = lanesOfRow(gpu, { isAlone: options.writesPlan }),
) {
  const kernel = await gpu.pipelines.compile('router-linear', routerLinearShader({ ...options, lanes }), [
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
    const numbers = [params.sublayer, params.weights, params.stride, options.d4, params.norm]
    const resources = [b.plan, b.x, b.routers, b.thresholds, b.z, numbers, b.vectors, b.u]
    return bind(arena, kernel, resources, rowGroups({ lanes }))
  }
}
