import {
  type AttentionPrefillOptions,
  attentionPrefillShader,
  queriesPerGroup,
} from '../../shaders/attention-prefill.wgsl.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type Extent, type Grid, type ParamsArena } from '../gpu/dispatch.js'

export interface AttentionPrefillForm extends Pick<AttentionPrefillOptions, 'unrolled'> {
  /** Subgroups of so many lanes pass keys and values on. Else tiles go through workgroup memory, as those of larger heads do. */
  passedBy?: 4 | 8 | undefined
}

/** Sums of larger heads take compilers seconds. */
const LARGEST_PASSED = 128

/** Host side of shaders/attention-prefill.wgsl.ts and attention-passed.wgsl.ts. */
export async function attentionPrefillKernel(
  gpu: GpuDevice,
  { passedBy: lanes, ...o }: AttentionPrefillOptions & AttentionPrefillForm,
) {
  const [code, gridOf] = lanes && o.headDim <= LARGEST_PASSED ? await passed({ ...o, lanes }) : inTiles(o)
  const kernel = await gpu.pipelines.compile('attention-prefill', code, ['read', 'read', 'read', 'write', 'uniform'])
  return (
    arena: ParamsArena,
    b: { plan: GPUBuffer; q: GPUBuffer; kv: GPUBuffer; out: GPUBuffer },
    params: { slot: number },
  ): Dispatch => bind(arena, kernel, [b.plan, b.q, b.kv, b.out, [params.slot]], gridOf)
}

type Shader = readonly [code: string, gridOf: (extent: Extent) => Grid]

function inTiles(o: AttentionPrefillOptions): Shader {
  return [attentionPrefillShader(o), ({ rows }) => [o.heads, Math.ceil(rows / queriesPerGroup(o.headDim)), 1]]
}

/** Devices without such subgroups do without the code for them. */
async function passed(o: AttentionPrefillOptions & { lanes: 4 | 8 }): Promise<Shader> {
  const { attentionPassedShader, ownQueries } = await import('../../shaders/attention-passed.wgsl.js')
  const own = ownQueries(o)
  return [attentionPassedShader(o), ({ rows }) => [Math.ceil(rows / (o.lanes * own.queries)), o.heads / own.heads, 1]]
}
