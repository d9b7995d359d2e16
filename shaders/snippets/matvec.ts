import { loopBound } from './plan.js'
import { unroll } from './reduce.js'
import { readWeights, type WeightDtype, weightElement } from './weights.js'

/**
 * How a matrix-vector product is spread over invocations. `lanes` invocations share a row of the matrix and add their
 * parts in workgroup memory; each of the `workgroup / lanes` slots works on `rowsPerSlot` rows at once, so that a load
 * of the vector serves several rows. On a GPU several lanes make neighbouring loads; a CPU behind WebGPU is fastest
 * with one lane, which needs no barriers in the reduction.
 */
export interface MatvecForm {
  workgroup: number
  lanes: number
  rowsPerSlot: number
}

/** Matrix rows that one workgroup of this form produces. */
export function rowsPerGroup(form: MatvecForm): number {
  return (form.workgroup / form.lanes) * form.rowsPerSlot
}

const TILE4 = 512

/**
 * WGSL declarations for a product of `weights` (`[n, k4]` of four weights, at `binding`) with a vector that the kernel
 * defines as `fn inputVector(i: u32) -> vec4f`. Needs the plan bound read-only. The vector passes through workgroup memory in tiles of 2048 values.
 */
export function matvecDeclarations(o: { form: MatvecForm; k4: number; dtype: WeightDtype; binding: number }): string {
  const { workgroup, lanes } = o.form
  return `
@group(0) @binding(${o.binding}) var<storage, read> weights: array<${weightElement(o.dtype)}>;
${readWeights(o.dtype, o.k4)}
${loopBound}
var<workgroup> tile: array<vec4f, ${Math.min(TILE4, o.k4)}>;
${
  lanes === 1
    ? ''
    : `var<workgroup> parts: array<f32, ${workgroup}>;
fn laneSum(lane: u32, value: f32) -> f32 {
  workgroupBarrier();
  parts[lane] = value;
  workgroupBarrier();
  for (var width = ${lanes / 2}u; width > 0u; width >>= 1u) {
    if (lane % ${lanes}u < width) { parts[lane] += parts[lane + width]; }
    workgroupBarrier();
  }
  return parts[lane - lane % ${lanes}u];
}`
}`
}

/**
 * WGSL statements that leave the products of matrix rows `row(0) .. row(count - 1)` (expressions over `slot`) with the
 * input vector in `sum0 .. sum{count-1}`, valid in every lane. Needs `lane`, the invocation's index in its group.
 */
export function matvecBody(o: { form: MatvecForm; k4: number; count: number; row: (i: number) => string }): string {
  const { workgroup, lanes } = o.form
  const tile4 = Math.min(TILE4, o.k4)
  return `
  let part = lane % ${lanes}u;
${unroll(o.count, (i) => `  let base${i} = weightStart(${o.row(i)});\n  var acc${i} = vec4f();`)}
  for (var first = 0u; first < bound(${o.k4}u); first += ${tile4}u) {
    let size = min(${tile4}u, bound(${o.k4}u) - first);
    workgroupBarrier();
    for (var i = lane; i < size; i += ${workgroup}u) { tile[i] = inputVector(first + i); }
    workgroupBarrier();
    for (var i = part; i < size; i += ${lanes}u) {
      let v = tile[i];
${unroll(o.count, (i) => `      acc${i} = fma(weight(base${i}, first + i), v, acc${i});`)}
    }
  }
${unroll(o.count, (i) => {
  const total = `acc${i}.x + acc${i}.y + acc${i}.z + acc${i}.w`
  return `  let sum${i} = ${lanes === 1 ? total : `laneSum(lane, ${total})`};`
})}`
}
