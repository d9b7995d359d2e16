import type { SkipPolicy } from '../skip/policy.js'
import type { SkippedSublayer } from './program.js'
import type { Target } from './target.js'

/** What is left of a sublayer that every token skips: nothing, or the scale that stands for it. */
export async function skippedSublayer(target: Target, { scale }: SkipPolicy): Promise<SkippedSublayer> {
  if (!scale) return () => []
  const { scaledSublayer } = await import('./scaled-sublayer.js')
  return scaledSublayer(target, scale)
}
