import { BLOCK } from '../../../shaders/snippets/weights.js'
import { roundHalfEven } from './quantise.js'

/**
 * What the integers stand for into which shaders/snippets/packed-matvec.ts turns a vector: of each block of 32 values, whole multiples of the largest
 * magnitude / 127; halves go to the even one.
 *
 * x [k] -> [k]
 */
export function inEightBits(x: ArrayLike<number>): Float64Array {
  const rounded = new Float64Array(x.length)
  for (let first = 0; first < x.length; first += BLOCK) {
    const block = Array.from({ length: Math.min(BLOCK, x.length - first) }, (_, i) => x[first + i]!)
    const step = Math.max(...block.map(Math.abs)) / 127
    block.forEach((value, i) => {
      rounded[first + i] = step === 0 ? 0 : roundHalfEven(value / step) * step
    })
  }
  return rounded
}
