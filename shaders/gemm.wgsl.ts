import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { columnsPerLane, type GemmOptions } from './snippets/gemm-options.js'
import { products } from './snippets/products.js'
import { unroll } from './snippets/reduce.js'

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
  const p = products(o)
  const { matrices } = p
  const cells = (line: (m: number, n: number, j: number) => string) =>
    unroll(tm, (m) => unroll(tn, (n) => unroll(matrices, (j) => line(m, n, j))))
  const sums = (m: number, n: number) => Array.from({ length: matrices }, (_, j) => `c${m}_${n}_${j}`)
  // What an invocation brings of each pair of tiles: vectors lane, lane + threads, .. of them.
  const inputLoads = Math.ceil((tileRows * stagedK4) / threads)
  const weightLoads = Math.ceil((tileColumns * matrices * stagedK4) / threads)
  const staged = (i: number) => `(lane + ${i * threads}u)`
  const stagedColumn = `lane % ${stagedK4}u`
  const within = (k: string, value: string) =>
    o.k4 % stagedK4 === 0 ? value : `select(vec4f(), ${value}, ${k} + ${stagedColumn} < ${o.k4}u)`
  const offset = (k: string) => (o.k4 % stagedK4 === 0 ? k : `min(${k}, ${o.k4 - 1}u - ${stagedColumn})`)
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
${p.declarations}
var<workgroup> inputs: array<vec4f, ${tileRows * stride}>;
var<workgroup> columnsTile: array<vec4f, ${tileColumns * stride * matrices}>;

@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let firstRow = group.y * ${tileRows}u;
  if (firstRow >= rowCount()) { return; }
  let firstColumn = group.x * ${tileColumns}u;
  let lx = lane % ${lanesX}u;
  let ly = lane / ${lanesX}u;
  ${cells((m, n, j) => `var c${m}_${n}_${j} = 0.0;`)}
  // The next tiles are on their way while the present ones are multiplied.
  ${unroll(inputLoads, (i) => `let inputFrom${i} = (${p.inputRow(`firstRow + ${staged(i)} / ${stagedK4}u`)}) * ${o.k4}u + ${stagedColumn}; var input${i} = ${nextInput(i, '0u')};`)}
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
      ${unroll(tn, (n) => unroll(matrices, (j) => `let w${n}_${j} = columnsTile[(${j * tileColumns + n * lanesX}u + lx) * ${stride}u + t];`))}
      ${unroll(tm, (m) => `let x${m} = inputs[(ly * ${tm}u + ${m}u) * ${stride}u + t];`)}
      ${cells((m, n, j) => `c${m}_${n}_${j} += dot(x${m}, w${n}_${j});`)}
    }
  }
  let count = rowCount();
  ${unroll(tm, (m) =>
    unroll(
      tn,
      (n) => `{
    let i = firstRow + ly * ${tm}u + ${m}u;
    let column = firstColumn + ${n * lanesX}u + lx;
    if (i < count && column < ${o.n}u) {
      ${p.store(sums(m, n))}
    }
  }`,
    ),
  )}
}
`
}
