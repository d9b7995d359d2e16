import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { loopBound, planRows, type Rows } from './snippets/plan.js'
import { unroll } from './snippets/reduce.js'
import { silu } from './snippets/silu.js'
import { readWeights, type WeightDtype, weightElement } from './snippets/weights.js'

/** Register tile (rows x columns per invocation) and how operands reach it. */
export interface GemmForm {
  rows: number
  columns: number
  /** Invocations across columns, and across rows, of one group. */
  lanesX: number
  lanesY: number
  /** Through workgroup memory (GPUs), or straight from the buffers (a CPU behind WebGPU, where barriers are dear). */
  staged: boolean
}

export interface GemmOptions {
  k4: number
  n: number
  /** Words between rows of the output. */
  outputStride: number
  dtype: WeightDtype
  bias: boolean
  rows: Rows
  /** Read input row rowAt(i) instead of row i. */
  gather: boolean
  /**
   * What happens to a product: stored at row i; added to row rowAt(i) of the residual stream; the same but only where
   * z >= 0 (masked control); or combined as silu(gate) · up, where weights hold n rows of gate, then n rows of up.
   */
  epilogue: 'store' | 'add' | 'add-masked' | 'silu-up'
  form: GemmForm
}

const TILE_K4 = 4

/**
 * Matrix product over the rows of a chunk, y = x Wᵀ (+ bias), with rows gathered and scattered through the plan.
 *
 *   plan     u32, read
 *   x        f32 [capacity, k4] of four
 *   weights  [.., k4] of four; the product uses rows params.firstRow ..
 *   vectors  f32, bias at params.bias (units of 4)
 *   y        f32 [capacity, outputStride], written (read too where the epilogue adds)
 *   z        f32, margins at params.z, for the masked epilogue only
 *
 * Dispatch: (ceil(n / (columns · lanesX)), ceil(rows / (rows · lanesY)), 1); row tiles beyond the active rows return.
 */
export function gemmShader(o: GemmOptions): string {
  const { rows: tm, columns: tn, lanesX, lanesY, staged } = o.form
  const threads = lanesX * lanesY
  const tileRows = tm * lanesY
  const tileColumns = tn * lanesX
  const matrices = o.epilogue === 'silu-up' ? 2 : 1
  const cells = (line: (m: number, n: number, j: number) => string) =>
    unroll(tm, (m) => unroll(tn, (n) => unroll(matrices, (j) => line(m, n, j))))
  const biasAt = (column: string) => (o.bias ? ` + vectors[params.bias + (${column}) / 4u][(${column}) % 4u]` : '')
  const store = (m: number, n: number) => {
    const value = `c${m}_${n}_0${biasAt('column')}`
    switch (o.epilogue) {
      case 'store':
        return `y[i * ${o.outputStride}u + column] = ${value};`
      case 'add':
        return `y[rowAt(i) * ${o.outputStride}u + column] += ${value};`
      case 'add-masked':
        return `if (z[params.z + rowAt(i)] >= 0.0) { y[rowAt(i) * ${o.outputStride}u + column] += ${value}; }`
      case 'silu-up':
        return `let gate = ${value};
        y[i * ${o.outputStride}u + column] = silu(gate) * (c${m}_${n}_1${biasAt(`column + ${o.n}u`)});`
    }
  }
  const weightRow = (column: string, j: number) => `params.firstRow + ${j * o.n}u + min(${column}, ${o.n - 1}u)`
  const inputRow = (i: string) => {
    const live = `min(${i}, rowCount() - 1u)`
    return o.gather ? `rowAt(${live})` : live
  }
  const multiply = (load: { x: (m: number) => string; w: (n: number, j: number) => string }) => `
      ${unroll(tn, (n) => unroll(matrices, (j) => `let w${n}_${j} = ${load.w(n, j)};`))}
      ${unroll(tm, (m) => `let x${m} = ${load.x(m)};`)}
      ${cells((m, n, j) => `c${m}_${n}_${j} += dot(x${m}, w${n}_${j});`)}`
  return wgsl`
struct Params { slot: u32, firstRow: u32, bias: u32, z: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> weights: array<${weightElement(o.dtype)}>;
@group(0) @binding(3) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
#if ${o.epilogue === 'add-masked'}
@group(0) @binding(6) var<storage, read> z: array<f32>;
#endif
@group(0) @binding(5) var<uniform> params: Params;
${readWeights(o.dtype, o.k4)}
${o.epilogue === 'silu-up' ? silu : ''}
${planRows(o.rows)}
${loopBound}
#if ${staged}
var<workgroup> inputs: array<vec4f, ${tileRows * TILE_K4}>;
var<workgroup> columnsTile: array<vec4f, ${tileColumns * TILE_K4 * matrices}>;
#endif

@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let firstRow = group.y * ${tileRows}u;
  if (firstRow >= rowCount()) { return; }
  let firstColumn = group.x * ${tileColumns}u;
  let lx = lane % ${lanesX}u;
  let ly = lane / ${lanesX}u;
  ${cells((m, n, j) => `var c${m}_${n}_${j} = 0.0;`)}
  #if ${staged}
  for (var k = 0u; k < bound(${o.k4}u); k += ${TILE_K4}u) {
    workgroupBarrier();
    for (var t = lane; t < ${tileRows * TILE_K4}u; t += ${threads}u) {
      let at = k + t % ${TILE_K4}u;
      var v = vec4f();
      if (at < ${o.k4}u) { v = x[(${inputRow(`firstRow + t / ${TILE_K4}u`)}) * ${o.k4}u + at]; }
      inputs[t] = v;
    }
    for (var t = lane; t < ${tileColumns * TILE_K4}u; t += ${threads}u) {
      let at = k + t % ${TILE_K4}u;
      ${unroll(
        matrices,
        (j) => `{
        var v = vec4f();
        if (at < ${o.k4}u) { v = weight(weightStart(${weightRow(`firstColumn + t / ${TILE_K4}u`, j)}), at); }
        columnsTile[t + ${j * tileColumns * TILE_K4}u] = v;
      }`,
      )}
    }
    workgroupBarrier();
    for (var t = 0u; t < ${TILE_K4}u; t++) {
      ${multiply({
        x: (m) => `inputs[(ly * ${tm}u + ${m}u) * ${TILE_K4}u + t]`,
        w: (n, j) => `columnsTile[(${j * tileColumns + n * lanesX}u + lx) * ${TILE_K4}u + t]`,
      })}
    }
  }
  #else
  ${unroll(tm, (m) => `let xRow${m} = (${inputRow(`firstRow + ly * ${tm}u + ${m}u`)}) * ${o.k4}u;`)}
  ${unroll(tn, (n) => unroll(matrices, (j) => `let wRow${n}_${j} = weightStart(${weightRow(`firstColumn + ${n * lanesX}u + lx`, j)});`))}
  for (var k = 0u; k < bound(${o.k4}u); k++) {
    ${multiply({ x: (m) => `x[xRow${m} + k]`, w: (n, j) => `weight(wRow${n}_${j}, k)` })}
  }
  #endif
  let count = rowCount();
  ${unroll(
    tm,
    (m) => `{
    let i = firstRow + ly * ${tm}u + ${m}u;
    if (i < count) {
      ${unroll(
        tn,
        (n) => `{
      let column = firstColumn + ${n * lanesX}u + lx;
      if (column < ${o.n}u) {
        ${store(m, n)}
      }
      }`,
      )}
    }
  }`,
  )}
}
`
}
