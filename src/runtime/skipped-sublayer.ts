import type { Dispatch, ParamsArena } from '../gpu/dispatch.js'
import { scaleRowsKernel } from '../kernels/scale-rows.js'
import type { SkipPolicy } from '../skip/policy.js'
import type { Engine } from './engine.js'
import type { Target } from './target.js'

/** What is left of a sublayer that every token skips: nothing, or the scale that stands for it. */
export async function skippedSublayer({ gpu, shape }: Target, policy: SkipPolicy) {
  const kernel = policy.scale && (await scaleRowsKernel(gpu, { d4: shape.d4 }))
  return ({ scratch }: Engine, arena: ParamsArena, plan: GPUBuffer, sublayer: number): Dispatch[] => {
    const scale = policy.scale?.(sublayer) ?? 1
    return kernel && scale !== 1 ? [kernel(arena, { plan, x: scratch.x }, { scale })] : []
  }
}
