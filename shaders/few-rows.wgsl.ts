import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { columnsPerLane, type GemmOptions } from './snippets/gemm-options.js'
import { loopEnd } from './snippets/plan.js'
import { products } from './snippets/products.js'
import { unroll } from './snippets/reduce.js'

/**
 * The product of gemm.wgsl.ts for few rows, as decode steps of several sequences and short prompts have them: the invocations of a group go
 * along k side by side, and each weight that they read serves all rows. Bindings and layouts are those of gemm.
 *
 * Dispatch: (ceil(n / columns), ceil(rows / form.rows), 1) groups of form.along.lanes.
 */
export function fewRowsShader(o: GemmOptions & { form: { along: NonNullable<GemmOptions['form']['along']> } }): string {
  const { rows: tm, along } = o.form
  const { lanes } = along
  const tn = columnsPerLane(o)
  const p = products(o)
  const subgroups = along.adds === 'subgroups'
  // Parts of a sum that meet in workgroup memory; subgroups have at least four invocations.
  const parts = subgroups ? lanes / 4 : lanes
  const cells = (line: (m: number, n: number, j: number) => string) =>
    unroll(tm, (m) => unroll(tn, (n) => unroll(p.matrices, (j) => line(m, n, j))))
  const cell = (m: number, n: number, j: number) => (m * tn + n) * p.matrices + j
  // An odd stride spreads sums over the banks.
  const stride = parts + 1
  return wgsl`
${subgroups ? 'enable subgroups;' : ''}
${p.declarations}
var<workgroup> parts: array<f32, ${tm * tn * p.matrices * stride}>;
fn total(cell: u32, count: u32) -> f32 {
  var sum = 0.0;
  for (var s = 0u; s < count; s++) { sum += parts[cell * ${stride}u + s]; }
  return sum;
}

@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32${subgroups ? ', @builtin(subgroup_size) subgroupSize: u32, @builtin(subgroup_invocation_id) subgroupLane: u32' : ''}) {
  let firstRow = group.y * ${tm}u;
  if (firstRow >= rowCount()) { return; }
  let firstColumn = group.x * ${tn}u;
  ${cells((m, n, j) => `var c${m}_${n}_${j} = 0.0;`)}
  ${unroll(tm, (m) => `let xRow${m} = (${p.inputRow(`firstRow + ${m}u`)}) * ${o.k4}u;`)}
  ${unroll(tn, (n) => unroll(p.matrices, (j) => `let wRow${n}_${j} = weightStart(${p.weightRow(`firstColumn + ${n}u`, `${j}u`)});`))}
  for (var k = lane; k < ${loopEnd(o.k4, true)}; k += ${lanes}u) {
    ${unroll(tn, (n) => unroll(p.matrices, (j) => `let w${n}_${j} = weight(wRow${n}_${j}, k);`))}
    ${unroll(tm, (m) => `{ let v = x[xRow${m} + k]; ${unroll(tn, (n) => unroll(p.matrices, (j) => `c${m}_${n}_${j} += dot(v, w${n}_${j});`))} }`)}
  }
  ${cells((m, n, j) =>
    subgroups
      ? `let t${m}_${n}_${j} = subgroupAdd(c${m}_${n}_${j}); if (subgroupLane == 0u) { parts[${cell(m, n, j) * stride}u + lane / subgroupSize] = t${m}_${n}_${j}; }`
      : `parts[${cell(m, n, j) * stride}u + lane] = c${m}_${n}_${j};`,
  )}
  workgroupBarrier();
  let count = ${subgroups ? `${lanes}u / subgroupSize` : `bound(${lanes}u)`};
  for (var at = lane; at < ${tm * tn}u; at += ${lanes}u) {
    let i = firstRow + at / ${tn}u;
    let column = firstColumn + at % ${tn}u;
    if (i < rowCount() && column < ${o.n}u) {
      ${p.store(Array.from({ length: p.matrices }, (_, j) => `total(at * ${p.matrices}u + ${j}u, count)`))}
    }
  }
}
`
}
