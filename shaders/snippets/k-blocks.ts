/** GGML's K types: blocks of 256 values of a row, in sub-blocks with integer factors of the block's scales. */
export type KWeightDtype = 'q4_k' | 'q5_k' | 'q6_k'

/** Values in a block. */
export const K_BLOCK = 256

/** Words of a block in each section of a row: low four bits, bits above them, factors of the sub-blocks, scales of the block. */
const SECTIONS: Readonly<
  Record<KWeightDtype, readonly [lows: number, highs: number, factors: number, scales: number]>
> = {
  q4_k: [32, 0, 4, 1],
  q5_k: [32, 8, 4, 1],
  q6_k: [32, 16, 4, 1],
}

/** Words of a block. */
export function kBlockWords(dtype: KWeightDtype): number {
  return SECTIONS[dtype].reduce((sum, words) => sum + words, 0)
}

/**
 * Where in a row of `blocks` blocks its sections begin, in words; each holds that of the first block, then of the next. Everything is
 * in the order of the values, first in the lowest bits: `lows` four bits per value; `highs` one (q5_k) or two bits (q6_k);
 * `factors` for each 32 values a byte that multiplies the scale and one for the minimum, or (q6_k) a signed byte for each 16; `scales` scale
 * and minimum as two f16, or (q6_k) the scale alone.
 */
export function kSections(dtype: KWeightDtype, blocks: number) {
  const [lows, highs, factors] = SECTIONS[dtype]
  const end = (...words: number[]) => blocks * words.reduce((sum, n) => sum + n, 0)
  return { lows: 0, highs: end(lows), factors: end(lows, highs), scales: end(lows, highs, factors) }
}

/** The body of WGSL `weight(start, i)` (see weights.ts) over `name`. Products are exact in f32: only the last subtraction rounds. */
export function readKBlocks(dtype: KWeightDtype, name: string, blocks: number): string {
  const at = kSections(dtype, blocks)
  const lows = `let lows = (vec4u(${name}[start + (i >> 1u)]) >> (vec4u(0u, 4u, 8u, 12u) + (i & 1u) * 16u)) & vec4u(15u);`
  const scales = `let scales = unpack2x16float(${name}[start + ${at.scales}u + (i >> 6u)]);`
  if (dtype === 'q6_k') {
    return `${lows}
  let highs = (vec4u(${name}[start + ${at.highs}u + (i >> 2u)]) >> (vec4u(0u, 2u, 4u, 6u) + (i & 3u) * 8u)) & vec4u(3u);
  let factor = bitcast<i32>(${name}[start + ${at.factors}u + (i >> 4u)] << (24u - 8u * ((i >> 2u) & 3u))) >> 24u;
  ${scales}
  return scales.x * f32(factor) * (vec4f(lows | (highs << vec4u(4u))) - 32.0);`
  }
  const highs = `let highs = (vec4u(${name}[start + ${at.highs}u + (i >> 3u)]) >> (vec4u(0u, 1u, 2u, 3u) + (i & 7u) * 4u)) & vec4u(1u);`
  return `${lows}
  ${dtype === 'q5_k' ? highs : ''}
  let factors = ${name}[start + ${at.factors}u + (i >> 4u)] >> (((i >> 3u) & 1u) * 16u);
  ${scales}
  let value = vec4f(lows${dtype === 'q5_k' ? ' | (highs << vec4u(4u))' : ''});
  return scales.x * f32(factors & 255u) * value - scales.y * f32((factors >> 8u) & 255u);`
}
