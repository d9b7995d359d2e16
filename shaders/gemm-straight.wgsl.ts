import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { columnsPerLane, type GemmOptions } from './snippets/gemm-options.js'
import { products } from './snippets/products.js'
import { unroll } from './snippets/reduce.js'

/**
 * The product of gemm.wgsl.ts for CPUs behind WebGPU: straight from the buffers, without workgroup memory or barriers. Bindings and layouts are those of gemm.
 *
 * Dispatch: (ceil(n / (columnsPerLane · lanesX)), ceil(rows / form.rows), 1) groups of lanesX, of forms that broadcast the other way round; row tiles beyond
 * the active rows return.
 */
export function gemmStraightShader(o: GemmOptions): string {
  const { rows: tm, lanesX: lanes, broadcasts } = o.form
  const tn = columnsPerLane(o)
  const width = widestStore(o)
  const p = products(o, width)
  const { matrices } = p
  const [rowAxis, columnAxis] = broadcasts ? ['x', 'y'] : ['y', 'x']
  const cells = (rows: number, line: (m: number, n: number, j: number) => string) =>
    unroll(rows, (m) => unroll(tn, (n) => unroll(matrices, (j) => line(m, n, j))))
  // An invocation reads all rows of its tile, or its share of them, which it passes on.
  const own = (rows: number) => (broadcasts ? Math.ceil(rows / lanes) : rows)
  const ownRow = (m: number) => (broadcasts ? `lane + ${m * lanes}u` : `${m}u`)
  const row = (m: number) => (broadcasts ? `subgroupBroadcast(own${Math.floor(m / lanes)}, ${m % lanes}u)` : `own${m}`)
  const multiply = (rows: number) => `
  for (var k = 0u; k < bound(${o.k4}u); k++) {
    ${unroll(own(rows), (m) => `let own${m} = x[xRow${m} + k];`)}
    ${unroll(tn, (n) => unroll(matrices, (j) => `let w${n}_${j} = weight(wRow${n}_${j}, k);`))}
    ${unroll(rows, (m) => `let x${m} = ${row(m)};`)}
    ${cells(rows, (m, n, j) => `c${m}_${n}_${j} += dot(x${m}, w${n}_${j});`)}
  }`
  // Half a tile takes less time: of the rows that run, the last ones seldom fill one.
  const halves = broadcasts && tm === 2 * lanes
  // A vector of neighbouring columns.
  const stores = tn / width
  const vector = (m: number, s: number, j: number) => {
    const parts = Array.from({ length: width }, (_, i) => `c${m}_${s * width + i}_${j}`)
    return `${p.sum}(${parts.join(', ')})`
  }
  return wgsl`
${broadcasts ? 'enable subgroups;' : ''}
${p.declarations}

@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(${broadcasts ? 'subgroup_invocation_id' : 'local_invocation_index'}) lane: u32) {
  let firstRow = group.${rowAxis} * ${tm}u;
  let count = rowCount();
  if (firstRow >= count) { return; }
  let firstColumn = (group.${columnAxis} * ${lanes}u + lane) * ${tn}u;
  ${cells(tm, (m, n, j) => `var c${m}_${n}_${j} = 0.0;`)}
  ${unroll(own(tm), (m) => `let xRow${m} = (${p.inputRow(`firstRow + ${ownRow(m)}`)}) * ${o.k4}u;`)}
  ${unroll(tn, (n) => unroll(matrices, (j) => `let wRow${n}_${j} = weightStart(${p.weightRow(`firstColumn + ${n}u`, `${j}u`)});`))}
  ${halves ? `if (count - firstRow > ${lanes}u) {${multiply(tm)} } else {${multiply(lanes)} }` : multiply(tm)}
  // Stores that are written out would be most of what there is to compile.
  ${unroll(matrices, (j) => `var sums${j}: array<${p.sum}, ${tm * stores}>;`)}
  ${unroll(tm, (m) => unroll(stores, (s) => unroll(matrices, (j) => `sums${j}[${m * stores + s}] = ${vector(m, s, j)};`)))}
  let end = min(firstRow + ${tm}u, count);
  for (var i = firstRow; i < end; i++) {
    let at = (i - firstRow) * ${stores}u;
    ${unroll(
      stores,
      (s) => `{
      let column = firstColumn + ${s * width}u;
      if (column < ${o.n}u) {
        ${p.store(Array.from({ length: matrices }, (_, j) => `sums${j}[at + ${s}u]`))}
      }
    }`,
    )}
  }
}
`
}

/** Neighbouring columns that an invocation can store at once. */
function widestStore(o: GemmOptions): 1 | 2 | 4 {
  const fits = (width: number) => [columnsPerLane(o), o.n, o.outputStride].every((size) => size % width === 0)
  return fits(4) ? 4 : fits(2) ? 2 : 1
}
