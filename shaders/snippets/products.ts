import type { GemmOptions } from './gemm-options.js'
import { loopBound, planRows } from './plan.js'
import { siluOf } from './silu.js'
import { readWeights, weightElement } from './weights.js'

/** What kernels that multiply rows with a matrix share, in whatever order they work. */
export interface Products {
  /** Matrices that a product reads: gate and up together. */
  readonly matrices: 1 | 2
  /** WGSL bindings, and how weights, rows of the plan and loops are read. */
  readonly declarations: string
  /** WGSL: the row of `x` that belongs to row `i` of the product; behind the last one that of the last one. */
  inputRow(i: string): string
  /** WGSL: the row of the weights that makes a column; behind the last one that of the last one. */
  weightRow(column: string, matrix: string): string
  /** WGSL: the type of a sum, of as many neighbouring columns as are stored at once. */
  readonly sum: 'f32' | 'vec2f' | 'vec4f'
  /** WGSL statement that ends a product of row `i` and `column`, which there are, with the sums of its matrices. */
  store(sums: readonly string[]): string
}

/** `width` neighbouring columns are stored at once, of a product whose columns, and whose rows of output, are multiples of it. */
export function products(o: Omit<GemmOptions, 'form'>, width: 1 | 2 | 4 = 1): Products {
  const sum = width === 1 ? 'f32' : (`vec${width}f` as const)
  const biasOf = (column: string) => `vectors[params.bias + (${column}) / 4u][(${column}) % 4u]`
  const biasAt = (column: string) => {
    if (!o.bias) return ''
    if (width === 1) return ` + ${biasOf(column)}`
    const biases = Array.from({ length: width }, (_, i) => biasOf(`${column} + ${i}u`))
    return ` + ${sum}(${biases.join(', ')})`
  }
  return {
    sum,
    matrices: o.epilogue === 'silu-up' ? 2 : 1,
    declarations: `
struct Params { slot: u32, firstRow: u32, bias: u32, z: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> weights: array<${weightElement(o.dtype)}>;
@group(0) @binding(3) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> y: array<${sum}>;
${o.epilogue === 'add-masked' ? '@group(0) @binding(6) var<storage, read> z: array<f32>;' : ''}
@group(0) @binding(5) var<uniform> params: Params;
${readWeights(o.dtype, o.k4)}
${o.epilogue === 'silu-up' ? siluOf(sum) : ''}
${planRows(o.rows)}
${loopBound}`,
    inputRow(i) {
      const live = `min(${i}, rowCount() - 1u)`
      return o.gather ? `rowAt(${live})` : live
    },
    weightRow: (column, matrix) => `params.firstRow + ${matrix} * ${o.n}u + min(${column}, ${o.n - 1}u)`,
    store([first, up]) {
      const value = `${first}${biasAt('column')}`
      const at = (row: string) => `y[${row} * ${o.outputStride / width}u + column${width === 1 ? '' : ` / ${width}u`}]`
      switch (o.epilogue) {
        case 'store':
          return `${at('i')} = ${value};`
        case 'scatter':
          return `${at('rowAt(i)')} = ${value};`
        case 'add':
          return `${at('rowAt(i)')} += ${value};`
        case 'add-masked':
          return `if (z[params.z + rowAt(i)] >= 0.0) { ${at('rowAt(i)')} += ${value}; }`
        case 'silu-up':
          return `let gate = ${value};
        ${at('i')} = silu(gate) * (${up}${biasAt(`column + ${o.n}u`)});`
      }
    },
  }
}
