import { SkipstoneError } from '../errors.js'
import { halfToFloat, toFloat32 } from './half.js'

// Layouts: ggml-common.h of github.com/ggml-org/llama.cpp. All numbers are little-endian; rows are whole blocks.

/** How a GGML type stores values: `values` of them in each block of `bytes`. */
export interface GgmlBlock {
  readonly values: number
  readonly bytes: number
}

/** The GGML types that weights are read from. */
export const GGML_BLOCKS = {
  F32: { values: 1, bytes: 4 },
  F16: { values: 1, bytes: 2 },
  BF16: { values: 1, bytes: 2 },
  Q8_0: { values: 32, bytes: 34 },
  Q4_0: { values: 32, bytes: 18 },
  Q4_K: { values: 256, bytes: 144 },
  Q5_K: { values: 256, bytes: 176 },
  Q6_K: { values: 256, bytes: 210 },
} as const satisfies Readonly<Record<string, GgmlBlock>>

export type GgmlBlockType = keyof typeof GGML_BLOCKS

/** Whether tensors of a GGML type, by its name, can be read. */
export function isGgmlBlockType(name: string): name is GgmlBlockType {
  return Object.hasOwn(GGML_BLOCKS, name)
}

/**
 * The first `count` values of whole blocks of `type`: `bytes` -> f32 [count]. Plain and slow: the reference for GPU kernels.
 *
 * Everything is computed in f64 and rounded to f32 once. A scale has 11 significant bits and the integers that it meets have at
 * most 11 together, so products are exact even in f32 and only the K types' final subtraction rounds: f32 arithmetic, with or
 * without a fused multiply-add, gives the same bits.
 *
 * `bad-file` where `count` is not a whole number of blocks or `bytes` has another length than they need.
 */
export function dequantise(type: GgmlBlockType, bytes: Uint8Array, count: number): Float32Array {
  const { values, bytes: blockBytes } = GGML_BLOCKS[type]
  const blocks = count / values
  if (!Number.isInteger(blocks) || bytes.byteLength !== blocks * blockBytes) {
    throw new SkipstoneError(
      'bad-file',
      `${bytes.byteLength} bytes do not hold ${count} ${type} values, in blocks of ${values} values and ${blockBytes} bytes; fetch the file again.`,
    )
  }
  if (type === 'F32' || type === 'F16' || type === 'BF16') return toFloat32(bytes, type)
  const out = new Float32Array(count)
  for (let b = 0; b < blocks; b++) {
    const block = bytes.subarray(b * blockBytes, (b + 1) * blockBytes)
    DECODERS[type](block, out.subarray(b * values, (b + 1) * values))
  }
  return out
}

/** Writes the values of one block. */
type Decoder = (block: Uint8Array, out: Float32Array) => void

const DECODERS: Readonly<Record<Exclude<GgmlBlockType, 'F32' | 'F16' | 'BF16'>, Decoder>> = {
  /** scale f16, 32 × i8 */
  Q8_0(block, out) {
    const scale = half(block, 0)
    for (let i = 0; i < 32; i++) out[i] = scale * signed(block[2 + i]!)
  },

  /** scale f16, 16 bytes: value i in the low nibble of byte i, value i + 16 in its high nibble; 8 means zero */
  Q4_0(block, out) {
    const scale = half(block, 0)
    for (let i = 0; i < 32; i++) out[i] = scale * (nibble(block[2 + (i % 16)]!, i >> 4) - 8)
  },

  Q4_K: (block, out) => withMinima(block, out, 16, () => 0),

  /** As Q4_K, with 32 bytes of fifth bits before the nibbles: bit s of byte i belongs to value i of sub-block s. */
  Q5_K: (block, out) => withMinima(block, out, 48, (sub, i) => ((block[16 + i]! >> sub) & 1) * 16),

  /**
   * 128 bytes of low nibbles, 64 bytes of high bit pairs, 16 × i8 scales of 16 values each, scale f16; 32 means zero.
   * Each half of 128 values is four runs of 32: nibbles of runs 0 and 2 share bytes, as do runs 1 and 3; bit pairs of all four do.
   */
  Q6_K(block, out) {
    const scale = half(block, 208)
    for (let i = 0; i < 256; i++) {
      const part = i >> 7
      const run = (i >> 5) & 3
      const at = i & 31
      const low = nibble(block[part * 64 + (run & 1) * 32 + at]!, run >> 1)
      const high = (block[128 + part * 32 + at]! >> (2 * run)) & 3
      out[i] = scale * signed(block[192 + (i >> 4)]!) * (low + 16 * high - 32)
    }
  },
}

/**
 * Q4_K and Q5_K: scale f16, minimum f16, 12 bytes of 6-bit factors of both for 8 sub-blocks of 32 values, then the values:
 * nibbles from byte `nibbles` on, sub-blocks 2j and 2j + 1 in the low and high halves of the same 32 bytes; `extra` gives
 * what lies above the nibble of value i of a sub-block.
 */
function withMinima(
  block: Uint8Array,
  out: Float32Array,
  nibbles: number,
  extra: (sub: number, i: number) => number,
): void {
  const scale = half(block, 0)
  const minimum = half(block, 2)
  for (let sub = 0; sub < 8; sub++) {
    const [scaleFactor, minimumFactor] = kFactors(block, sub)
    for (let i = 0; i < 32; i++) {
      const value = nibble(block[nibbles + (sub >> 1) * 32 + i]!, sub & 1) + extra(sub, i)
      out[sub * 32 + i] = scale * scaleFactor * value - minimum * minimumFactor
    }
  }
}

/**
 * The 6-bit factors of scale and minimum of a sub-block, from bytes 4 to 15. Sub-blocks 0 to 3 have the low 6 bits of bytes 0 to
 * 3 and 4 to 7; sub-blocks 4 to 7 have the nibbles of bytes 8 to 11, and on top of them the 2 bits that the former left over.
 */
export function kFactors(block: Uint8Array, sub: number): [scale: number, minimum: number] {
  const a = block[4 + (sub & 3)]!
  const b = block[8 + (sub & 3)]!
  if (sub < 4) return [a & 63, b & 63]
  const c = block[12 + (sub & 3)]!
  return [(c & 15) | ((a >> 6) << 4), (c >> 4) | ((b >> 6) << 4)]
}

function half(block: Uint8Array, at: number): number {
  return halfToFloat(block[at]! | (block[at + 1]! << 8))
}

function nibble(byte: number, high: number): number {
  return high ? byte >> 4 : byte & 15
}

/** The i8 of a byte. */
function signed(byte: number): number {
  return (byte << 24) >> 24
}
