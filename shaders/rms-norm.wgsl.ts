import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { normaliseRow, type RowNorm } from './snippets/norm.js'
import { loopBound, planRows, type Rows } from './snippets/plan.js'
import { workgroupReduce } from './snippets/reduce.js'
import { mainOfRows, type RowLanes } from './snippets/row-lanes.js'

export interface RmsNormOptions extends RowNorm, RowLanes {
  d4: number
  rows: Rows
}

/**
 * RMSNorm over rows of the residual stream, gathered into neighbouring rows: u[i] = x[rowAt(i)] / rms · g.
 *
 *   plan     u32, read
 *   x        f32 [capacity, d]
 *   vectors  f32, norm weights at params.norm (units of 4)
 *   u        f32 [capacity, d], written
 *
 * Dispatch: rowGroups(rows) groups of `lanes`, or of rows (row-lanes.ts); groups beyond the active rows return at once.
 */
export function rmsNormShader(o: RmsNormOptions): string {
  return wgsl`
struct Params { slot: u32, norm: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> u: array<vec4f>;
@group(0) @binding(4) var<uniform> params: Params;
${planRows(o.rows)}
${loopBound}
${workgroupReduce(o.lanes, ['sum'])}
${normaliseRow(o)}
${mainOfRows(o, 'rowCount()')}
  normaliseRow(lane, rowAt(row), row);
}
`
}
