import {
  LINEAR_BACKWARD_ROWS,
  type LinearBackwardOptions,
  linearBackwardShader,
} from '../../../shaders/linear-backward.wgsl.js'
import type { GpuDevice } from '../../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../../gpu/dispatch.js'

/** Host side of shaders/linear-backward.wgsl.ts. */
export async function linearBackwardKernel(gpu: GpuDevice, options: LinearBackwardOptions) {
  const toShare = options.epilogue === 'add-to-share'
  const kernel = await gpu.pipelines.compile('linear-backward', linearBackwardShader(options), [
    ...(['read', 'read', 'read', 'write', 'uniform'] as const),
    ...(toShare ? (['read'] as const) : []),
  ])
  return (
    arena: ParamsArena,
    b: { plan: GPUBuffer; dy: GPUBuffer; weights: GPUBuffer; dx: GPUBuffer; sums?: GPUBuffer },
    params: { firstRow: number },
  ): Dispatch =>
    bind(
      arena,
      kernel,
      [b.plan, b.dy, b.weights, b.dx, [params.firstRow], ...(toShare ? [b.sums as GPUBuffer] : [])],
      ({ rows }) => [Math.ceil(options.k4 / 32), Math.ceil(rows / LINEAR_BACKWARD_ROWS), 1],
    )
}
