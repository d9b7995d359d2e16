import { BLOCK, rowWords, scalesAt } from '../../../shaders/snippets/weights.js'
import { floatToHalf, halfToFloat } from '../../formats/half.js'

/**
 * A matrix in blocks of 32 values with an f16 scale, as shaders/quantise.wgsl.ts makes them.
 *
 * values [n, k] -> words [n, rowWords], and the values [n, k] that they stand for
 */
export function quantise(
  values: ArrayLike<number>,
  k: number,
  to: 'q8' | 'q4',
): { words: Uint32Array; values: Float32Array } {
  const n = values.length / k
  const k4 = Math.ceil(k / 4)
  const perRow = rowWords(k4, to)
  const words = new Uint32Array(n * perRow)
  const halves = new Uint16Array(words.buffer)
  const kept = new Float32Array(values.length)
  const bits = to === 'q8' ? 8 : 4
  for (let row = 0; row < n; row++) {
    for (let block = 0; block * BLOCK < k; block++) {
      const columns = Array.from({ length: BLOCK }, (_, c) => block * BLOCK + c)
      const at = (column: number) => (column < k ? values[row * k + column]! : 0)
      const extreme = columns.map(at).reduce((most, value) => (Math.abs(value) > Math.abs(most) ? value : most), 0)
      const half = floatToHalf(to === 'q8' ? Math.abs(extreme) / 127 : extreme / -8)
      const step = halfToFloat(half)
      halves[2 * (row * perRow + scalesAt(k4, to)) + block] = half
      for (const column of columns) {
        const steps = step === 0 ? 0 : at(column) / step
        const level = to === 'q8' ? clamp(roundHalfEven(steps), -127, 127) : clamp(Math.floor(steps + 8.5), 0, 15) - 8
        const bit = column * bits
        const code = to === 'q8' ? level & 255 : level + 8
        words[row * perRow + (bit >> 5)]! |= code << (bit & 31)
        if (column < k) kept[row * k + column] = level * step
      }
    }
  }
  return { words, values: kept }
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value))
}

export function roundHalfEven(x: number): number {
  const low = Math.floor(x)
  if (x - low === 0.5) return low % 2 === 0 ? low : low + 1
  return Math.round(x)
}
