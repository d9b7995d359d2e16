import { addLanes, type BlockMatvecOptions, frameOf, type Matvec, normOf } from './matvec.js'
import { eps } from './norm.js'
import { loopEnd } from './plan.js'
import { unroll } from './reduce.js'
import { BLOCK, blocksOf, rowWords, scalesAt } from './weights.js'

/** Blocks of the vector that a group keeps at once, in 8 KiB. */
const TILE_BLOCKS = 204

/** Vectors of four values in a block. */
const VECTORS = BLOCK / 4

const each = (line: (i: number) => string) => unroll(VECTORS, line)
const sum = (terms: readonly string[]) => terms.join(' + ')
const eight = Array.from({ length: VECTORS }, (_, i) => i)
const words = ['x', 'y', 'z', 'w'] as const

/**
 * matvec.ts with the vector in 8 bits: of each block of 32 values v, round(v / step) with step = the largest magnitude / 127, ties to even, four in
 * a word. A chunk of the weights is then multiplied in integers, exactly, and chunks are added in f32. The group packs the vector
 * itself, one invocation a block. With a norm, what is packed is x · g: the factor 1 / sqrt(mean(x²) + eps) changes no block's integers and comes last.
 */
export function packedMatvec({ form, k4, dtype, count, row, input }: BlockMatvecOptions): Matvec {
  const { workgroup, lanes } = form
  const norm = normOf(form, input)
  const { chunks, code } = dtype === 'q8' ? q8(k4) : q4(k4)
  const blocks = blocksOf(k4)
  const tileBlocks = Math.min(TILE_BLOCKS, blocks)
  const sums = count + (norm ? 1 : 0)
  const frame = frameOf(form, sums, input)
  const end = loopEnd(blocks * chunks, lanes > 1)
  const packing = (count: string) => `
    for (var b = lane; b < ${count}; b += ${workgroup}u) { pack(first + b, b); }
    workgroupBarrier();`
  const loop = (to: string) => `
    for (var c = first * ${chunks}u + part; c < ${to}; c += ${lanes}u) {
      let at = c - first * ${chunks}u;
      let step = steps[at / ${chunks}u];
${code.read}
${unroll(count, (i) => `      acc${i} = fma(step.x, chunk(base${i}, c, ${code.vectors}), acc${i});`)}
      ${norm ? 'squares += step.y;' : ''}
    }`
  return {
    ...frame,
    extensions: `requires packed_4x8_integer_dot_product;\n${frame.extensions}`,
    declarations: `${frame.declarations}
@group(0) @binding(2) var<storage, read> weights: array<vec4u>;
var<workgroup> tile: array<vec4u, ${2 * tileBlocks}>;
// Of each block its step, and a chunk's share of its squares.
var<workgroup> steps: array<vec2f, ${tileBlocks}>;
fn largest(v: vec4f) -> f32 { return max(max(abs(v.x), abs(v.y)), max(abs(v.z), abs(v.w))); }
fn pack(block: u32, at: u32) {
  let first = block * ${VECTORS}u;
${each((i) => `  let x${i} = ${k4 % VECTORS === 0 ? `inputVector(first + ${i}u)` : `select(vec4f(), inputVector(min(first + ${i}u, ${k4 - 1}u)), first + ${i}u < ${k4}u)`};`)}
${each((i) => `  let v${i} = x${i}${norm ? ` * vectors[params.norm + min(first + ${i}u, ${k4 - 1}u)]` : ''};`)}
  let most = ${eight.map((i) => `largest(v${i})`).reduce((a, b) => `max(${a}, ${b})`)};
  // Blocks of zeros stay zeros.
  let perStep = 127.0 / max(most, 1e-30f);
  steps[at] = vec2f(most / 127.0, ${norm ? `(${sum(eight.map((i) => `dot(x${i}, x${i})`))}) / ${chunks}.0` : '0.0'});
${code.pack}
}
fn chunkStart(row: u32) -> u32 { return row * ${rowWords(k4, dtype) / 4}u; }
${code.chunk}`,
    body: `
  let part = ${lanes === 1 ? '0u' : `lane % ${lanes}u`};
${norm ? '  var squares = 0.0;' : ''}
${unroll(count, (i) => `  let base${i} = chunkStart(${row(i)});\n  var acc${i} = 0.0;`)}
${
  tileBlocks === blocks
    ? `  let first = 0u;\n${packing(`bound(${blocks}u)`)}${loop(end)}`
    : `  for (var first = 0u; first < bound(${blocks}u); first += ${tileBlocks}u) {
    workgroupBarrier();
${packing(`min(bound(${tileBlocks}u), ${blocks}u - first)`)}${loop(`min((first + ${tileBlocks}u) * ${chunks}u, ${end})`)}
  }`
}
${addLanes(form, sums, (i) => (i < count ? `acc${i}` : 'squares'))}
${unroll(count, (i) => `  let sum${i} = total${i}${norm ? ` / sqrt(total${count} / ${norm.d}.0 + ${eps(norm.eps)})` : ''};`)}`,
  }
}

/** How a dtype's chunks of 16 bytes meet the vector. */
interface Blocks {
  /** In a block. */
  chunks: number
  code: {
    /** WGSL statements that write vectors `v0 .. v7` to the block's place `at` in the tile. */
    pack: string
    /** Reads what chunk `at` of the tile is multiplied with. */
    read: string
    /** Names of what was read. */
    vectors: string
    /** WGSL `chunk(start, c, vectors) -> f32`: what chunk c of a row adds to the product, but for the step. */
    chunk: string
  }
}

/** Half a block: its scale is one of the two in a word, its word one of four in an element. */
function q8(k4: number): Blocks {
  const pack = (i: number) => `pack4xI8(vec4i(round(v${i} * perStep)))`
  return {
    chunks: 2,
    code: {
      pack: `
  tile[2u * at] = vec4u(${eight.slice(0, 4).map(pack).join(', ')});
  tile[2u * at + 1u] = vec4u(${eight.slice(4).map(pack).join(', ')});`,
      read: '      let x = tile[at];',
      vectors: 'x',
      chunk: `
fn chunk(start: u32, c: u32, x: vec4u) -> f32 {
  let w = weights[start + c];
  let scales = unpack2x16float(weights[start + ${scalesAt(k4, 'q8') / 4}u + (c >> 4u)][(c >> 2u) & 3u]);
  return select(scales.x, scales.y, (c & 2u) != 0u) * f32(${sum(words.map((i) => `dot4I8Packed(w.${i}, x.${i})`))});
}`,
    },
  }
}

/**
 * A block. Values are packed as the nibbles lie: those of lower and of higher halves of bytes apart. A nibble n stands for n - 8: with its
 * first bit turned it is that number in two's complement, and in the upper half of a byte sixteen times that.
 */
function q4(k4: number): Blocks {
  const pack = (lanes: string) => (i: number) =>
    `pack4xI8(vec4i(round(vec4f(v${2 * i}.${lanes}, v${2 * i + 1}.${lanes}) * perStep)))`
  const halves = eight.slice(0, 4)
  return {
    chunks: 1,
    code: {
      pack: `
  tile[2u * at] = vec4u(${halves.map(pack('xz')).join(', ')});
  tile[2u * at + 1u] = vec4u(${halves.map(pack('yw')).join(', ')});`,
      read: '      let even = tile[2u * at];\n      let odd = tile[2u * at + 1u];',
      vectors: 'even, odd',
      chunk: `
fn chunk(start: u32, c: u32, even: vec4u, odd: vec4u) -> f32 {
  let w = weights[start + c] ^ vec4u(0x88888888u);
  let lower = (w << vec4u(4u)) & vec4u(0xf0f0f0f0u);
  let upper = w & vec4u(0xf0f0f0f0u);
  let scales = unpack2x16float(weights[start + ${blocksOf(k4)}u + (c >> 3u)][(c >> 1u) & 3u]);
  return select(scales.x, scales.y, (c & 1u) != 0u) / 16.0
    * f32(${sum(words.map((i) => `dot4I8Packed(lower.${i}, even.${i}) + dot4I8Packed(upper.${i}, odd.${i})`))});
}`,
    },
  }
}
