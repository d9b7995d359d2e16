import type { Bitmaps } from '../fixtures/golden.js'
import type { ForwardResult } from './model.js'

/** What consecutive steps executed, as golden files write it: one string per layer, one character per token. */
export function bitmaps(steps: ForwardResult[]): Bitmaps {
  const attention: string[] = []
  const mlp: string[] = []
  for (let sublayer = 0; sublayer < steps[0]!.execute.length; sublayer++) {
    const bits = steps.map((step) => step.execute[sublayer]!.join('')).join('')
    if (sublayer % 2 === 0) attention.push(bits)
    else mlp.push(bits)
  }
  return { attention, mlp }
}
