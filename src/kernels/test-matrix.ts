import { rowWords, scalesAt, type WeightDtype } from '../../shaders/snippets/weights.js'
import { pcgHash } from './reference/random.js'

/** A matrix as kernels read it, and its values. */
export interface TestMatrix {
  readonly words: Uint32Array<ArrayBuffer>
  /** [rows, k] */
  readonly values: Float64Array
}

/**
 * Random values that `dtype` holds exactly, between -1 and 1, the same on every machine; undefined for the K types. Blocks of a row take turns with
 * the scales 1 / 128 and 1 / 256.
 */
export function testMatrix(dtype: WeightDtype, rows: number, k: number): TestMatrix | undefined {
  const k4 = Math.ceil(k / 4)
  const perRow = rowWords(k4, dtype)
  const kind = KINDS[dtype]
  if (!kind) return undefined
  const { bits, fixed = [0xffffffff, 0], value } = kind
  const scales = dtype === 'q8' || dtype === 'q4' ? scalesAt(k4, dtype) : perRow
  const [mask, ones] = fixed
  const words = Uint32Array.from({ length: rows * perRow }, (_, i) =>
    i % perRow < scales ? (pcgHash(5, 0, i) & mask) | ones : 0x1c002000,
  )
  const values = Float64Array.from({ length: rows * k }, (_, i) => {
    const [row, column] = [Math.floor(i / k), i % k]
    const at = column * bits
    const word = words[row * perRow + (at >> 5)] as number
    return value((word >>> (at & 31)) & (2 ** bits - 1), (column >> 5) % 2 === 0 ? 128 : 256)
  })
  return { words, values }
}

interface Kind {
  readonly bits: number
  /** Which bits of a word are random, and which of the others are ones. */
  readonly fixed?: readonly [mask: number, ones: number]
  readonly value: (code: number, perScale: number) => number
}

/** Floats of 16 bits have a quarter as their power of two. */
const half = (fraction: number, ones: number): Kind => ({
  bits: 16,
  fixed: [0x80008000 | (fraction * 0x10001), ones * 0x10001],
  value: (code) => ((code >> 15 ? -1 : 1) * (1 + (code & fraction) / (fraction + 1))) / 4,
})

const KINDS: Partial<Record<WeightDtype, Kind>> = {
  f32: {
    bits: 32,
    fixed: [0x807fffff, 0x3e800000],
    value: (code) => ((code >>> 31 ? -1 : 1) * (1 + (code & 0x7fffff) / 2 ** 23)) / 4,
  },
  f16: half(0x3ff, 0x3400),
  bf16: half(0x7f, 0x3e80),
  q8: { bits: 8, value: (code, perScale) => ((code << 24) >> 24) / perScale },
  q4: { bits: 4, value: (code, perScale) => (code - 8) / perScale },
}
