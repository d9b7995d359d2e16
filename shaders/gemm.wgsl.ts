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
  /**
   * Vectors of four along k that pass through workgroup memory at a time (GPUs); 0 reads straight from the buffers (a CPU behind
   * WebGPU, where barriers are dear).
   */
  stagedK4: number
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
   * What happens to a product: stored at row i, or at row rowAt(i); added to row rowAt(i) of the residual stream; the same but only where
   * z >= 0 (masked control); or combined as silu(gate) · up, where weights hold n rows of gate, then n rows of up.
   */
  epilogue: 'store' | 'scatter' | 'add' | 'add-masked' | 'silu-up'
  form: GemmForm
}

/** The options of a product that has a form for every number of rows. */
export type GemmChoice = Omit<GemmOptions, 'form'> & {
  /** Largest tiles first; the last one is for few rows. */
  forms: readonly GemmForm[]
}

/** Columns of the output that an invocation makes. Two matrices through workgroup memory share the room of one. */
export function columnsPerLane({ form, epilogue }: Pick<GemmOptions, 'form' | 'epilogue'>): number {
  return epilogue === 'silu-up' && form.stagedK4 > 0 ? form.columns / 2 : form.columns
}

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
  const { rows: tm, lanesX, lanesY, stagedK4 } = o.form
  const tn = columnsPerLane(o)
  // Neighbouring lanes read neighbouring rows of a tile: an odd stride spreads them over the banks.
  const stride = stagedK4 + 1
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
      case 'scatter':
        return `y[rowAt(i) * ${o.outputStride}u + column] = ${value};`
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
  // What an invocation brings of each pair of tiles: vectors lane, lane + threads, .. of them.
  const inputLoads = Math.ceil((tileRows * stagedK4) / threads)
  const weightLoads = Math.ceil((tileColumns * matrices * stagedK4) / threads)
  const staged = (i: number) => `(lane + ${i * threads}u)`
  const stagedColumn = `lane % ${stagedK4}u`
  const within = (k: string, value: string) =>
    o.k4 % Math.max(1, stagedK4) === 0 ? value : `select(vec4f(), ${value}, ${k} + ${stagedColumn} < ${o.k4}u)`
  const offset = (k: string) => (o.k4 % Math.max(1, stagedK4) === 0 ? k : `min(${k}, ${o.k4 - 1}u - ${stagedColumn})`)
  const nextInput = (i: number, k: string) => within(k, `x[inputFrom${i} + ${offset(k)}]`)
  const weightFrom = (i: number) => {
    const row = `${staged(i)} / ${stagedK4}u`
    const first = matrices === 1 ? `firstColumn + ${row}` : `firstColumn + ${row} % ${tileColumns}u`
    const matrix = matrices === 1 ? '' : ` + ${row} / ${tileColumns}u * ${o.n}u`
    return `weightStart(params.firstRow + min(${first}, ${o.n - 1}u)${matrix})`
  }
  const nextWeight = (i: number, k: string) => within(k, `weight(weightFrom${i}, ${offset(k)} + ${stagedColumn})`)
  const keep = (tile: string, value: string, i: number, rows: number) => {
    const at = `${staged(i)} / ${stagedK4}u * ${stride}u + ${stagedColumn}`
    const all = (i + 1) * threads <= rows * stagedK4
    return all ? `${tile}[${at}] = ${value};` : `if (${staged(i)} < ${rows * stagedK4}u) { ${tile}[${at}] = ${value}; }`
  }
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
#if ${stagedK4 > 0}
var<workgroup> inputs: array<vec4f, ${tileRows * stride}>;
var<workgroup> columnsTile: array<vec4f, ${tileColumns * stride * matrices}>;
#endif

@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let firstRow = group.y * ${tileRows}u;
  if (firstRow >= rowCount()) { return; }
  let firstColumn = group.x * ${tileColumns}u;
  let lx = lane % ${lanesX}u;
  let ly = lane / ${lanesX}u;
  ${cells((m, n, j) => `var c${m}_${n}_${j} = 0.0;`)}
  #if ${stagedK4 > 0}
  // The next tiles are on their way while the present ones are multiplied.
  ${unroll(inputLoads, (i) => `let inputFrom${i} = (${inputRow(`firstRow + ${staged(i)} / ${stagedK4}u`)}) * ${o.k4}u + ${stagedColumn}; var input${i} = ${nextInput(i, '0u')};`)}
  ${unroll(weightLoads, (i) => `let weightFrom${i} = ${weightFrom(i)}; var weight${i} = ${nextWeight(i, '0u')};`)}
  for (var k = 0u; k < bound(${o.k4}u); k += ${stagedK4}u) {
    workgroupBarrier();
    ${unroll(inputLoads, (i) => keep('inputs', `input${i}`, i, tileRows))}
    ${unroll(weightLoads, (i) => keep('columnsTile', `weight${i}`, i, tileColumns * matrices))}
    workgroupBarrier();
    if (k + ${stagedK4}u < ${o.k4}u) {
      ${unroll(inputLoads, (i) => `input${i} = ${nextInput(i, `k + ${stagedK4}u`)};`)}
      ${unroll(weightLoads, (i) => `weight${i} = ${nextWeight(i, `k + ${stagedK4}u`)};`)}
    }
    for (var t = 0u; t < ${stagedK4}u; t++) {
      ${multiply({
        x: (m) => `inputs[(ly * ${tm}u + ${m}u) * ${stride}u + t]`,
        w: (n, j) => `columnsTile[(${j * tileColumns + n * lanesX}u + lx) * ${stride}u + t]`,
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
