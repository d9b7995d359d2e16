import { rowWords, scalesAt } from '../../shaders/snippets/weights.js'
import { SkipstoneError } from '../errors.js'
import { GGML_BLOCKS } from '../formats/gguf-blocks.js'

/** The GGML types whose blocks are those of a form on the GPU, in another order of bytes. */
export const REPACKED = { Q8_0: 'q8', Q4_0: 'q4' } as const

/**
 * Rows of Q8_0 or Q4_0 blocks in the order that kernels read (shaders/snippets/weights.ts); the values stay as they are.
 * `k` is a whole number of blocks.
 */
export function repack(type: keyof typeof REPACKED, bytes: Uint8Array, k: number): Uint8Array<ArrayBuffer> {
  const to = REPACKED[type]
  const { values, bytes: blockBytes } = GGML_BLOCKS[type]
  const blocks = k / values
  const rows = bytes.byteLength / (blocks * blockBytes)
  if (!Number.isInteger(rows)) throw new SkipstoneError('internal', `${bytes.byteLength} bytes are no rows of ${type}.`)
  const rowBytes = 4 * rowWords(k / 4, to)
  const scales = 4 * scalesAt(k / 4, to)
  const valueBytes = blockBytes - 2
  const packed = new Uint8Array(rows * rowBytes)
  for (let row = 0; row < rows; row++) {
    for (let block = 0; block < blocks; block++) {
      const from = (row * blocks + block) * blockBytes
      packed[row * rowBytes + scales + 2 * block] = bytes[from]!
      packed[row * rowBytes + scales + 2 * block + 1] = bytes[from + 1]!
      const source = bytes.subarray(from + 2, from + blockBytes)
      const target = packed.subarray(row * rowBytes + block * valueBytes, row * rowBytes + (block + 1) * valueBytes)
      if (to === 'q8') target.set(source)
      else pairNeighbours(source, target)
    }
  }
  return packed
}

/** GGML keeps values i and i + 16 in one byte, the kernels 2i and 2i + 1. */
function pairNeighbours(source: Uint8Array, target: Uint8Array): void {
  const half = source.length / 2
  for (let i = 0; i < half; i++) {
    const [a, b] = [source[2 * i]!, source[2 * i + 1]!]
    target[i] = (a & 15) | ((b & 15) << 4)
    target[half + i] = (a >> 4) | (b & 0xf0)
  }
}
