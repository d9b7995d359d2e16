import { type AttentionDecodeOptions, attentionDecodeShader } from '../../shaders/attention-decode.wgsl.js'
import { partsOf } from '../../shaders/snippets/splits.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'

/** Host side of shaders/attention-decode.wgsl.ts: of one query, or of the rows of a batch in the order of `caches`. */
export async function attentionDecodeKernel(gpu: GpuDevice, options: AttentionDecodeOptions) {
  const caches = options.batch?.caches ?? 1
  const cache = (c: number) => (c < caches ? 'read' : 'none')
  const kernel = await gpu.pipelines.compile('attention-decode', attentionDecodeShader(options), [
    'read',
    'read',
    'read',
    'write',
    'uniform',
    options.obeys === 'margin' ? 'read' : 'none',
    ...[1, 2, 3].map(cache),
  ] as const)
  return (
    arena: ParamsArena,
    b: { plan: GPUBuffer; q: GPUBuffer; caches: readonly GPUBuffer[]; splitSums: GPUBuffer; z?: GPUBuffer },
    params: { slot: number; z: number; rows?: readonly number[] },
  ): Dispatch => {
    const [first, ...others] = b.caches
    const numbers = [params.slot, params.z, ...(params.rows ? [0, 0, ...params.rows] : [])]
    return bind(arena, kernel, [b.plan, b.q, first, b.splitSums, numbers, b.z, ...others], ({ context }) => [
      options.heads,
      partsOf(options.splits, context),
      caches,
    ])
  }
}
