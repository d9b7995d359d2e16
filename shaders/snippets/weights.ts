import { K_BLOCK, type KWeightDtype, kBlockWords, readKBlocks } from './k-blocks.js'

/**
 * How a weight matrix lies in GPU memory: f32 words; two 16-bit floats per u32 (low half first); blocks of 32 values of a row that
 * share an f16 scale, with 8 or 4 bits for each value; or the blocks of GGML's K types (k-blocks.ts).
 */
export type WeightDtype = 'f32' | 'f16' | 'bf16' | 'q8' | 'q4' | KWeightDtype

/** Values that share a scale. */
export const BLOCK = 32

/** Words that hold the values of a block; the scales of a row follow behind all of its values, two in a word. */
const BLOCK_WORDS = { q8: 8, q4: 4 } as const

/**
 * Words of a row of `4 · k4` values; K types take whole blocks only. A row of q8 or q4: value words, then scales, `q8` with four signed bytes in a word, `q4` with
 * eight nibbles that stand for −8 to 7; the first value is in the lowest bits; filled up to a multiple of 16 bytes, so that kernels can load so many at once.
 */
export function rowWords(k4: number, dtype: WeightDtype): number {
  switch (dtype) {
    case 'f32':
      return 4 * k4
    case 'f16':
    case 'bf16':
      return 2 * k4
    case 'q8':
    case 'q4':
      return scalesAt(k4, dtype) + 4 * Math.ceil(blocksOf(k4) / 8)
    default:
      return Math.ceil((4 * k4) / K_BLOCK) * kBlockWords(dtype)
  }
}

/** Blocks in a row; the last one is filled up with zeros. */
export function blocksOf(k4: number): number {
  return Math.ceil((4 * k4) / BLOCK)
}

/** Where in a row its scales begin, in words. */
export function scalesAt(k4: number, dtype: 'q8' | 'q4'): number {
  return blocksOf(k4) * BLOCK_WORDS[dtype]
}

/** WGSL element of a weight buffer: four neighbouring floats of one row, or a word of a block. */
export function weightElement(dtype: WeightDtype): 'vec4f' | 'vec2u' | 'u32' {
  return dtype === 'f32' ? 'vec4f' : dtype === 'f16' || dtype === 'bf16' ? 'vec2u' : 'u32'
}

/**
 * WGSL functions over the buffer `name`, whose rows have `4 · k4` values: `weightStart(row) -> u32`, and `weight(start, i) -> vec4f`,
 * values 4i to 4i + 3 of the row that starts there. No form needs an optional feature: `unpack2x16float` is core WGSL, and a
 * bf16 is the upper half of an f32.
 */
export function readWeights(dtype: WeightDtype, k4: number, name = 'weights'): string {
  const perElement = { vec4f: 4, vec2u: 2, u32: 1 }[weightElement(dtype)]
  return `
fn weightStart(row: u32) -> u32 { return row * ${rowWords(k4, dtype) / perElement}u; }
fn weight(start: u32, i: u32) -> vec4f {
  ${READ[dtype](name, k4)}
}`
}

const readK = (dtype: KWeightDtype) => (name: string, k4: number) => readKBlocks(dtype, name, (4 * k4) / K_BLOCK)

const READ: Readonly<Record<WeightDtype, (name: string, k4: number) => string>> = {
  f32: (name) => `return ${name}[start + i];`,
  f16: (name) => `let v = ${name}[start + i];
  return vec4f(unpack2x16float(v.x), unpack2x16float(v.y));`,
  bf16: (name) => `let v = ${name}[start + i];
  return vec4f(bitcast<f32>(v.x << 16u), bitcast<f32>(v.x & 0xffff0000u), bitcast<f32>(v.y << 16u), bitcast<f32>(v.y & 0xffff0000u));`,
  // Shifts up and down again extend the sign.
  q8: (name, k4) => `let word = vec4i(bitcast<i32>(${name}[start + i]));
  return ${scale(name, scalesAt(k4, 'q8'))} * vec4f((word << vec4u(24u, 16u, 8u, 0u)) >> vec4u(24u));`,
  q4: (name, k4) => `let nibbles = vec4u(${name}[start + (i >> 1u)]) >> (vec4u(0u, 4u, 8u, 12u) + (i & 1u) * 16u);
  return ${scale(name, scalesAt(k4, 'q4'))} * (vec4f(nibbles & vec4u(15u)) - 8.0);`,
  q4_k: readK('q4_k'),
  q5_k: readK('q5_k'),
  q6_k: readK('q6_k'),
}

/** The scale of the block with values 4i to 4i + 3. */
function scale(name: string, at: number): string {
  return `unpack2x16float(${name}[start + ${at}u + (i >> 4u)])[(i >> 3u) & 1u]`
}
