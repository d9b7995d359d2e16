import type { TraceStep } from '../src/index.js'

/** What one token ran, by layer. */
export interface Decisions {
  readonly attention: readonly boolean[]
  readonly mlp: readonly boolean[]
}

/** From the bits of a step: sublayer 2·layer is attention, the next one the MLP. */
export function fromBits(words: Uint32Array, layers: number): Decisions {
  const ran = (i: number) => (((words[i >> 5] ?? 0) >>> (i & 31)) & 1) === 1
  const row = (offset: number) => Array.from({ length: layers }, (_, layer) => ran(2 * layer + offset))
  return { attention: row(0), mlp: row(1) }
}

/** From a session's trace. */
export function fromTrace(step: TraceStep): Decisions {
  const row = (text: string) => Array.from(text, (character) => character === '1')
  return { attention: row(step.attention), mlp: row(step.mlp) }
}

export function countRan({ attention, mlp }: Decisions): { ran: number; all: number } {
  const all = [...attention, ...mlp]
  return { ran: all.filter(Boolean).length, all: all.length }
}
