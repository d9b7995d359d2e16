import { scaleRowsKernel } from '../kernels/scale-rows.js'
import type { SkippedSublayer } from './program.js'
import type { Target } from './target.js'

/** The residual stream times a scale, where that is not 1. Few policies have scales: this is loaded for them. */
export async function scaledSublayer(
  { gpu, shape }: Target,
  scale: (sublayer: number) => number,
): Promise<SkippedSublayer> {
  const kernel = await scaleRowsKernel(gpu, { d4: shape.d4 })
  return ({ scratch }, arena, plan, sublayer) => {
    const its = scale(sublayer)
    return its === 1 ? [] : [kernel(arena, { plan, x: scratch.x }, { scale: its })]
  }
}
