import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { loopBound } from './snippets/plan.js'
import { unroll } from './snippets/reduce.js'

/**
 * What happens to an element of the product: written; added; written as max(it + bias, 0); or written where the output was above 0 before, else 0
 * (the gradient of that maximum, over the values that it gave).
 */
export type ProductEpilogue = 'store' | 'add' | 'relu' | 'relu-backward'

/** Rows and columns that a group of 8 × 8 invocations makes: each a square, of which every value that is read goes into a row or a column. */
export const PRODUCT_TILE = 32
const SQUARE = 4

/**
 * Product of two f32 matrices that lie anywhere in their buffers, c = alpha · a b: what trains is small, so that one kernel without tiles
 * makes its outputs and gradients, transposed or not.
 *
 *   plan  u32, read
 *   a     f32, element (i, t) at params.aAt + i · params.aRow + t · params.aColumn
 *   b     f32, element (t, j) at params.bAt + t · params.bRow + j · params.bColumn
 *   c     f32, element (i, j) at params.cAt + i · params.cRow + j, written (and read, see the epilogues)
 *   bias  f32, for relu only: element j at params.biasAt + j
 *
 * Dispatch: (ceil(n / 32), ceil(m / 32), 1) groups of 64.
 */
export function productStridedShader(epilogue: ProductEpilogue): string {
  const store: Record<ProductEpilogue, string> = {
    store: 'c[at] = value;',
    add: 'c[at] += value;',
    relu: 'c[at] = max(value + bias[params.biasAt + j], 0.0);',
    'relu-backward': 'c[at] = select(0.0, value, c[at] > 0.0);',
  }
  return wgsl`
struct Params {
  m: u32, n: u32, k: u32, alpha: f32,
  aAt: u32, aRow: u32, aColumn: u32,
  bAt: u32, bRow: u32, bColumn: u32,
  cAt: u32, cRow: u32, biasAt: u32,
}
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;
#if ${epilogue === 'relu'}
@group(0) @binding(4) var<storage, read> bias: array<f32>;
#endif
@group(0) @binding(5) var<uniform> params: Params;
${loopBound}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = group.y * ${PRODUCT_TILE}u + lane / 8u;
  let j = group.x * ${PRODUCT_TILE}u + lane % 8u;
  if (j >= params.n || i >= params.m) { return; }
  ${each((r) => `let a${r} = params.aAt + min(i + ${8 * r}u, params.m - 1u) * params.aRow; let b${r} = params.bAt + min(j + ${8 * r}u, params.n - 1u) * params.bColumn; var sum${r} = vec4f();`)}
  for (var t = 0u; t < bound(params.k); t++) {
    let left = vec4f(${values((r) => `a[a${r} + t * params.aColumn]`)});
    let right = vec4f(${values((r) => `b[b${r} + t * params.bRow]`)});
    ${each((r) => `sum${r} = fma(vec4f(left[${r}]), right, sum${r});`)}
  }
  ${each((r) =>
    each(
      (c) => `if (i + ${8 * r}u < params.m && j + ${8 * c}u < params.n) {
    let j = j + ${8 * c}u;
    let at = params.cAt + (i + ${8 * r}u) * params.cRow + j;
    let value = params.alpha * sum${r}[${c}];
    ${store[epilogue]}
  }`,
    ),
  )}
}
`
}

function each(line: (i: number) => string): string {
  return unroll(SQUARE, line)
}

function values(value: (i: number) => string): string {
  return Array.from({ length: SQUARE }, (_, i) => value(i)).join(', ')
}
