import { type CompareStatesOptions, compareStatesShader } from '../../shaders/compare-states.wgsl.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'

/** Host side of shaders/compare-states.wgsl.ts. */
export async function compareStatesKernel(gpu: GpuDevice, options: CompareStatesOptions) {
  const kernel = await gpu.pipelines.compile('compare-states', compareStatesShader(options), [
    'read',
    'read',
    'write',
    'write',
    'uniform',
  ])
  return (
    arena: ParamsArena,
    b: { plan: GPUBuffer; x: GPUBuffer; before: GPUBuffer; out: GPUBuffer },
    { index }: { index: number },
  ): Dispatch => bind(arena, kernel, [b.plan, b.x, b.before, b.out, [index]], ({ rows }) => [rows, 1, 1])
}
