import {
  type AttentionInTurnOptions,
  attentionScoresShader,
  SCORED_BY_GROUP,
} from '../../shaders/attention-scores.wgsl.js'
import { attentionValuesShader, VALUES_GROUP } from '../../shaders/attention-values.wgsl.js'
import type { GpuDevice } from '../gpu/device.js'
import { bind, type Dispatch, type ParamsArena } from '../gpu/dispatch.js'

/** The most heads that an invocation keeps sums of without running out of registers. */
const MOST_TOGETHER = 4

/** Host side of shaders/attention-scores.wgsl.ts and shaders/attention-values.wgsl.ts: attention with one query, scores first. */
export async function attentionInTurnKernels(gpu: GpuDevice, options: Omit<AttentionInTurnOptions, 'headsTogether'>) {
  const { heads, kvHeads, headDim, obeys } = options
  const headsTogether = largestDivisor(heads / kvHeads, MOST_TOGETHER)
  const o = { ...options, headsTogether }
  const bindings = ['read', 'read', 'read', 'write', 'uniform', obeys === 'margin' ? 'read' : 'none'] as const
  const [scores, values] = await Promise.all([
    gpu.pipelines.compile('attention-scores', attentionScoresShader(o), bindings),
    gpu.pipelines.compile('attention-values', attentionValuesShader(o), bindings),
  ])
  const groups = heads / headsTogether
  return (
    arena: ParamsArena,
    b: { plan: GPUBuffer; q: GPUBuffer; kv: GPUBuffer; scores: GPUBuffer; out: GPUBuffer; z?: GPUBuffer },
    params: { slot: number; z: number; row: number },
  ): Dispatch[] => {
    const numbers = [params.slot, params.z, params.row]
    return [
      bind(arena, scores, [b.plan, b.q, b.kv, b.scores, numbers, b.z], ({ context }) => [
        groups,
        Math.ceil(context / SCORED_BY_GROUP),
        1,
      ]),
      bind(arena, values, [b.plan, b.scores, b.kv, b.out, numbers, b.z], () => [
        groups,
        Math.ceil(headDim / 4 / VALUES_GROUP),
        1,
      ]),
    ]
  }
}

function largestDivisor(n: number, limit: number): number {
  let most = Math.min(limit, n)
  while (n % most !== 0) most--
  return most
}
