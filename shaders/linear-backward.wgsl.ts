import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { loopBound, planRows } from './snippets/plan.js'
import { unroll } from './snippets/reduce.js'
import { readWeights, type WeightDtype, weightElement } from './snippets/weights.js'

export interface LinearBackwardOptions {
  /** Rows of the matrix that the layer used: values of dy. */
  n: number
  /** Vectors of four in a row of the matrix. */
  k4: number
  dtype: WeightDtype
  /** Written; added to what is there; or added to a row's share of what is there. */
  epilogue: 'store' | 'add' | 'add-to-share'
}

/** Rows of dy that an invocation takes: a weight is read, and taken from its block, once for all of them. */
export const LINEAR_BACKWARD_ROWS = 8

/**
 * Input gradient of a linear layer through frozen weights, dx = dy W, dx += dy W or dx = share dx + dy W: the transposed product, over rows as they
 * are stored.
 *
 *   plan     u32, read
 *   dy       f32 [capacity, n], rows filled up with zeros to a multiple of four
 *   weights  [.., k4] of four; rows params.firstRow .. + n
 *   dx       f32 [capacity, k4] of four, written (read too where it adds)
 *   sums     f32 [capacity] of four, of which the last is a row's share; only where that is used
 *
 * Dispatch: (ceil(k4 / 32), ceil(rows / 8), 1) groups of 32: neighbouring invocations take neighbouring columns.
 */
export function linearBackwardShader(o: LinearBackwardOptions): string {
  const tm = LINEAR_BACKWARD_ROWS
  const n4 = Math.ceil(o.n / 4)
  const toShare = o.epilogue === 'add-to-share'
  const result = (m: number) => {
    const at = `dx[(first + ${m}u) * ${o.k4}u + column]`
    if (o.epilogue === 'store') return `${at} = sum${m};`
    return toShare ? `${at} = fma(${at}, vec4f(sums[first + ${m}u].w), sum${m});` : `${at} += sum${m};`
  }
  const terms = ['x', 'y', 'z', 'w']
  return wgsl`
struct Params { firstRow: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read> weights: array<${weightElement(o.dtype)}>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>;
@group(0) @binding(4) var<uniform> params: Params;
${toShare ? '@group(0) @binding(5) var<storage, read> sums: array<vec4f>;' : ''}
${readWeights(o.dtype, o.k4)}
${planRows('all')}
${loopBound}

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let column = group.x * 32u + lane;
  let first = group.y * ${tm}u;
  let count = rowCount();
  if (column >= ${o.k4}u || first >= count) { return; }
  ${unroll(tm, (m) => `let row${m} = min(first + ${m}u, count - 1u) * ${n4}u; var sum${m} = vec4f();`)}
  for (var t = 0u; t < bound(${n4}u); t++) {
    ${unroll(4, (j) => `let w${j} = weight(weightStart(params.firstRow + min(4u * t + ${j}u, ${o.n - 1}u)), column);`)}
    ${unroll(tm, (m) => `{ let g = dy[row${m} + t]; ${unroll(4, (j) => `sum${m} = fma(vec4f(g.${terms[j]}), w${j}, sum${m});`)} }`)}
  }
  ${unroll(tm, (m) => `if (first + ${m}u < count) { ${result(m)} }`)}
}
`
}
