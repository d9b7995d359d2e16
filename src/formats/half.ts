import { SkipstoneError } from '../errors.js'

/** The element types that weights are read from. */
export type FloatDtype = 'F32' | 'F16' | 'BF16'

export const FLOAT_BYTES: Readonly<Record<FloatDtype, number>> = { F32: 4, F16: 2, BF16: 2 }

const scratch = new Float32Array(1)
const scratchBits = new Uint32Array(scratch.buffer)

/** The f32 bit pattern of an IEEE 754 half; every half is exact in f32. */
function halfToFloatBits(half: number): number {
  const sign = (half & 0x8000) << 16
  const exponent = (half >> 10) & 0x1f
  const mantissa = half & 0x3ff
  if (exponent === 0x1f) return sign | 0x7f80_0000 | (mantissa << 13)
  if (exponent !== 0) return sign | ((exponent + 112) << 23) | (mantissa << 13)
  // A subnormal half is a normal float: let the float unit find its exponent.
  scratch[0] = mantissa * 2 ** -24
  return sign | scratchBits[0]!
}

/** The value of the 16 bits `half`, IEEE 754 binary16. */
export function halfToFloat(half: number): number {
  scratchBits[0] = halfToFloatBits(half)
  return scratch[0]!
}

/** The value of the 16 bits `bits`, bfloat16 (the upper half of an f32). */
export function bfloatToFloat(bits: number): number {
  scratchBits[0] = bits << 16
  return scratch[0]!
}

/** The binary16 bits nearest to `value` (first rounded to f32), ties to even; overflow gives infinity, NaN one quiet NaN. */
export function floatToHalf(value: number): number {
  scratch[0] = value
  const bits = scratchBits[0]!
  const sign = (bits >>> 16) & 0x8000
  const magnitude = bits & 0x7fff_ffff
  if (magnitude > 0x7f80_0000) return sign | 0x7e00
  // 65520 lies halfway between the largest half and what would follow it: from there on everything is infinity.
  if (magnitude >= 0x477f_f000) return sign | 0x7c00
  if (magnitude < 0x3880_0000) {
    // Below the smallest normal half. One ulp of a float in [0.5, 1) is 2^-24, the step of subnormal halves, so this
    // addition rounds to it, ties to even.
    scratch[0] = Math.abs(scratch[0]!) + 0.5
    return sign | (scratchBits[0]! - 0x3f00_0000)
  }
  const rebased = magnitude - 0x3800_0000
  return sign | ((rebased + 0xfff + ((rebased >>> 13) & 1)) >>> 13)
}

/**
 * Little-endian `bytes` of `dtype` as f32 values, always in memory of their own. `bytes` may start at any offset.
 * `bad-file` where the length is not a whole number of elements.
 */
export function toFloat32(bytes: Uint8Array, dtype: FloatDtype): Float32Array {
  if (bytes.byteLength % FLOAT_BYTES[dtype] !== 0) {
    throw new SkipstoneError(
      'bad-file',
      `${bytes.byteLength} bytes are not a whole number of ${dtype} values; the file is damaged, fetch it again.`,
    )
  }
  // A copy starts at offset 0, so it is aligned whatever the source was.
  const { buffer } = new Uint8Array(bytes)
  if (dtype === 'F32') return new Float32Array(buffer)
  const source = new Uint16Array(buffer)
  const values = new Float32Array(source.length)
  const bits = new Uint32Array(values.buffer)
  if (dtype === 'BF16') for (let i = 0; i < source.length; i++) bits[i] = source[i]! << 16
  else for (let i = 0; i < source.length; i++) bits[i] = halfToFloatBits(source[i]!)
  return values
}
