import { type StepLossesOptions, stepLossesShader } from '../../../shaders/step-losses.wgsl.js'
import type { GpuDevice } from '../../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../../gpu/dispatch.js'

/** Host side of shaders/step-losses.wgsl.ts. */
export async function stepLossesKernel(gpu: GpuDevice, options: StepLossesOptions) {
  const ofSquares = options.penalty !== 'rate'
  const kernel = await gpu.pipelines.compile('step-losses', stepLossesShader(options), [
    'read',
    'read',
    'read',
    'read',
    'read',
    'write',
    ...(ofSquares ? (['read'] as const) : []),
  ])
  return (
    arena: ParamsArena,
    b: {
      plan: GPUBuffer
      settings: GPUBuffer
      targets: GPUBuffer
      sums: GPUBuffer
      gates: GPUBuffer
      losses: GPUBuffer
      squares?: GPUBuffer
    },
  ): Dispatch =>
    bind(
      arena,
      kernel,
      [b.plan, b.settings, b.targets, b.sums, b.gates, b.losses, ...(ofSquares ? [b.squares as GPUBuffer] : [])],
      () => [1, 1, 1],
    )
}
