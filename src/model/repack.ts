import { type KWeightDtype, kSections } from '../../shaders/snippets/k-blocks.js'
import { rowWords, scalesAt } from '../../shaders/snippets/weights.js'
import { SkipstoneError } from '../errors.js'
import { GGML_BLOCKS, kFactors } from '../formats/gguf-blocks.js'

/** The GGML types whose blocks are those of a form on the GPU, in another order of bytes. */
export const REPACKED = { Q8_0: 'q8', Q4_0: 'q4', Q4_K: 'q4_k', Q5_K: 'q5_k', Q6_K: 'q6_k' } as const

export type RepackedType = keyof typeof REPACKED

export function isRepacked(type: string): type is RepackedType {
  return Object.hasOwn(REPACKED, type)
}

/**
 * Rows of GGML blocks in the order that kernels read (shaders/snippets/weights.ts, k-blocks.ts); the values stay as they are.
 * `k` is a whole number of blocks.
 */
export function repack(type: RepackedType, bytes: Uint8Array, k: number): Uint8Array<ArrayBuffer> {
  const { values, bytes: blockBytes } = GGML_BLOCKS[type]
  const blocks = k / values
  const rows = bytes.byteLength / (blocks * blockBytes)
  if (!Number.isInteger(rows)) throw new SkipstoneError('internal', `${bytes.byteLength} bytes are no rows of ${type}.`)
  const rowBytes = 4 * rowWords(k / 4, REPACKED[type])
  const packed = new Uint8Array(rows * rowBytes)
  const packer = packerOf(type, k)
  for (let row = 0; row < rows; row++) {
    const target = packed.subarray(row * rowBytes, (row + 1) * rowBytes)
    for (let block = 0; block < blocks; block++) {
      const from = (row * blocks + block) * blockBytes
      packer(bytes.subarray(from, from + blockBytes), target, block)
    }
  }
  return packed
}

/** Writes one block of a row. */
type Packer = (source: Uint8Array, row: Uint8Array, block: number) => void

function packerOf(type: RepackedType, k: number): Packer {
  switch (type) {
    case 'Q8_0':
      return simplePacker(4 * scalesAt(k / 4, 'q8'), (source, target) => target.set(source))
    case 'Q4_0':
      return simplePacker(4 * scalesAt(k / 4, 'q4'), (source, target) =>
        pairNeighbours(source, target, target.subarray(8)),
      )
    case 'Q6_K':
      return packQ6K(k)
    default:
      return packWithMinima(type, k)
  }
}

/** Blocks of a scale f16 and values behind it. */
function simplePacker(scales: number, values: (source: Uint8Array, target: Uint8Array) => void): Packer {
  return (source, row, block) => {
    const length = source.length - 2
    row[scales + 2 * block] = source[0]!
    row[scales + 2 * block + 1] = source[1]!
    values(source.subarray(2), row.subarray(block * length, (block + 1) * length))
  }
}

function packWithMinima(type: 'Q4_K' | 'Q5_K', k: number): Packer {
  const at = sectionBytes(REPACKED[type], k)
  const nibbles = type === 'Q4_K' ? 16 : 48
  return (source, row, block) => {
    for (let j = 0; j < 4; j++) {
      const lows = row.subarray(block * 128 + j * 32)
      pairNeighbours(source.subarray(nibbles + j * 32, nibbles + (j + 1) * 32), lows, lows.subarray(16))
    }
    for (let sub = 0; sub < 8; sub++) {
      const [scale, minimum] = kFactors(source, sub)
      row[at.factors + block * 16 + 2 * sub] = scale
      row[at.factors + block * 16 + 2 * sub + 1] = minimum
      if (type === 'Q4_K') continue
      for (let i = 0; i < 32; i++) {
        const bit = (source[16 + i]! >> sub) & 1
        row[at.highs + block * 32 + 4 * sub + (i >> 3)]! |= bit << (i & 7)
      }
    }
    row.set(source.subarray(0, 4), at.scales + block * 4)
  }
}

function packQ6K(k: number): Packer {
  const at = sectionBytes('q6_k', k)
  return (source, row, block) => {
    // Each half of 128 values is four runs of 32: nibbles of runs 0 and 2 share bytes, as do 1 and 3; bit pairs of all four do.
    for (let half = 0; half < 2; half++) {
      const lows = row.subarray(block * 128 + half * 64)
      for (const run of [0, 1]) {
        const from = half * 64 + run * 32
        pairNeighbours(source.subarray(from, from + 32), lows.subarray(run * 16), lows.subarray((run + 2) * 16))
      }
      const highs = row.subarray(at.highs + block * 64 + half * 32)
      for (let i = 0; i < 32; i++) {
        const pairs = source[128 + half * 32 + i]!
        for (let run = 0; run < 4; run++) highs[run * 8 + (i >> 2)]! |= ((pairs >> (2 * run)) & 3) << (2 * (i & 3))
      }
    }
    row.set(source.subarray(192, 208), at.factors + block * 16)
    row.set(source.subarray(208, 210), at.scales + block * 4)
  }
}

function sectionBytes(dtype: KWeightDtype, k: number) {
  const { highs, factors, scales } = kSections(dtype, k / GGML_BLOCKS.Q4_K.values)
  return { highs: 4 * highs, factors: 4 * factors, scales: 4 * scales }
}

/**
 * GGML keeps a value of one run in the low half of a byte and the value at the same place of another run in the high half; kernels
 * want neighbours in one byte.
 */
function pairNeighbours(source: Uint8Array, low: Uint8Array, high: Uint8Array): void {
  for (let i = 0; i < source.length / 2; i++) {
    const [a, b] = [source[2 * i]!, source[2 * i + 1]!]
    low[i] = (a & 15) | ((b & 15) << 4)
    high[i] = (a >> 4) | (b & 0xf0)
  }
}
