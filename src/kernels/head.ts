import { type HeadOptions, headShader } from '../../shaders/head.wgsl.js'
import { rowsPerGroup } from '../../shaders/snippets/matvec.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'

/** A vocabulary needs more groups than one dimension of a dispatch may have. */
const GROUPS_X = 32768

/** Host side of shaders/head.wgsl.ts. */
export async function headKernel(gpu: GpuDevice, options: HeadOptions) {
  const bindings = ['read', 'read', 'read', 'read', 'write', 'uniform'] as const
  const kernel = await gpu.pipelines.compile('head', headShader(options), bindings)
  const groups = Math.ceil(options.vocab / rowsPerGroup(options.form))
  const x = Math.min(groups, GROUPS_X)
  return (
    arena: ParamsArena,
    b: { plan: GPUBuffer; x: GPUBuffer; weights: GPUBuffer; vectors: GPUBuffer; logits: GPUBuffer },
    params: { norm: number },
  ): Dispatch =>
    bind(arena, kernel, [b.plan, b.x, b.weights, b.vectors, b.logits, [params.norm, x]], () => [
      x,
      Math.ceil(groups / x),
      1,
    ])
}
