import { blocksOf, readWeights, rowWords, scalesAt, type WeightDtype, weightElement } from './weights.js'

/** How the rows of a matrix are read in loads of 16 bytes, where their layout allows it; else four values at a time. */
export interface Chunks {
  /** Vectors of four values in a chunk. */
  readonly vectors: number
  /** WGSL element of the weight buffer. */
  readonly element: string
  /** Chunks in a row; the last one may go beyond its `k4` vectors, where weights are 0. */
  readonly count: number
  /**
   * WGSL `chunkStart(row) -> u32` and `chunk(start, c, x0, .., acc) -> vec4f`: acc + chunk c of the row that starts there, times as many
   * vectors of the input.
   */
  readonly declarations: string
}

export function chunksOf(dtype: WeightDtype, k4: number): Chunks {
  switch (dtype) {
    case 'f16':
    case 'bf16':
      // Rows have to begin at multiples of 16 bytes.
      return k4 % 2 === 0 ? wide(dtype, k4, 2, sixteenBit(dtype)) : narrow(dtype, k4)
    case 'q8':
      return wide(dtype, k4, 4, q8(k4))
    case 'q4':
      return wide(dtype, k4, 8, q4(k4))
    default:
      return narrow(dtype, k4)
  }
}

const parameters = (vectors: number) => Array.from({ length: vectors }, (_, i) => `x${i}: vec4f`).join(', ')

function narrow(dtype: WeightDtype, k4: number): Chunks {
  const declarations = `${readWeights(dtype, k4)}
fn chunkStart(row: u32) -> u32 { return weightStart(row); }
fn chunk(start: u32, c: u32, x0: vec4f, acc: vec4f) -> vec4f { return fma(weight(start, c), x0, acc); }`
  return { vectors: 1, element: weightElement(dtype), count: k4, declarations }
}

function wide(dtype: WeightDtype, k4: number, vectors: number, body: string): Chunks {
  const declarations = `
fn chunkStart(row: u32) -> u32 { return row * ${rowWords(k4, dtype) / 4}u; }
fn chunk(start: u32, c: u32, ${parameters(vectors)}, acc: vec4f) -> vec4f {
  let w = weights[start + c];
${body}
}`
  return { vectors, element: 'vec4u', count: Math.ceil(k4 / vectors), declarations }
}

function sixteenBit(dtype: 'f16' | 'bf16'): string {
  const four = (a: string, b: string) =>
    dtype === 'f16'
      ? `vec4f(unpack2x16float(${a}), unpack2x16float(${b}))`
      : `vec4f(bitcast<f32>(${a} << 16u), bitcast<f32>(${a} & 0xffff0000u), bitcast<f32>(${b} << 16u), bitcast<f32>(${b} & 0xffff0000u))`
  return `  return fma(${four('w.z', 'w.w')}, x1, fma(${four('w.x', 'w.y')}, x0, acc));`
}

/** The number 2^23 + n has n in its lowest bits: integers become floats without a conversion, which GPUs do at a quarter of their pace. */
const integer = (bits: string, offset: number) =>
  `(bitcast<vec4f>((${bits}) | vec4u(0x4b000000u)) - vec4f(${2 ** 23 + offset}.0))`

/** Half a block: its scale is one of the two in a word, its word one of four in an element. */
function q8(k4: number): string {
  // Signed bytes plus 128.
  const bytes = (word: string) =>
    integer(`(vec4u(w.${word} ^ 0x80808080u) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(255u)`, 128)
  return `  let scales = unpack2x16float(weights[start + ${scalesAt(k4, 'q8') / 4}u + (c >> 4u)][(c >> 2u) & 3u]);
  let sum = fma(${bytes('w')}, x3, fma(${bytes('z')}, x2, fma(${bytes('y')}, x1, ${bytes('x')} * x0)));
  return fma(vec4f(select(scales.x, scales.y, (c & 2u) != 0u)), sum, acc);`
}

/** A block. */
function q4(k4: number): string {
  const terms = ['x', 'y', 'z', 'w'].flatMap((word) =>
    [0, 16].map((by) =>
      integer(`(vec4u(w.${word}) >> vec4u(${by}u, ${by + 4}u, ${by + 8}u, ${by + 12}u)) & vec4u(15u)`, 8),
    ),
  )
  const sum = terms.reduce((inner, term, i) => (i === 0 ? `${term} * x0` : `fma(${term}, x${i}, ${inner})`), '')
  return `  let scales = unpack2x16float(weights[start + ${blocksOf(k4)}u + (c >> 3u)][(c >> 1u) & 3u]);
  return fma(vec4f(select(scales.x, scales.y, (c & 1u) != 0u)), ${sum}, acc);`
}
