import type { TraceStep } from '../src/index.js'

/** How many of a token's sublayers ran. */
export interface Ran {
  readonly ran: number
  readonly all: number
}

/** From the bits of a step, those past the last sublayer being 0. */
export function fromBits(words: Uint32Array, layers: number): Ran {
  let ran = 0
  for (const word of words) for (let rest = word; rest !== 0; rest = (rest & (rest - 1)) >>> 0) ran++
  return { ran, all: 2 * layers }
}

/** From a session's trace. */
export function fromTrace({ attention, mlp }: TraceStep): Ran {
  const patterns = attention + mlp
  return { ran: patterns.replaceAll('0', '').length, all: patterns.length }
}
