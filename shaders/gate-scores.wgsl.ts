import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { loopBound } from './snippets/plan.js'
import { workgroupReduce } from './snippets/reduce.js'
import { mainOfRows, type RowLanes } from './snippets/row-lanes.js'
import { sigmoid } from './snippets/sigmoid.js'

export interface GateScoresOptions extends RowLanes {
  /** Values of a gate, and words between rows. */
  outputs: number
  stride: number
  capacity: number
  /** Whether a score at the threshold runs the sublayer. */
  tieRuns: boolean
}

/** What the margin of a tie becomes where a tie does not run: the plan and the bits take z >= 0 for running. */
export const TIE_MARGIN = -1e-30

/** WGSL of a margin of which a tie does not run. */
export function skipTies(margin: string): string {
  return `select(${margin}, ${TIE_MARGIN}f, ${margin} == 0.0)`
}

/**
 * Gates and their scores (GateSkip, arXiv 2510.13876): g = sigmoid(v) in place, z = mean(g) − threshold, for every row.
 *
 *   plan        u32, read
 *   gates       f32 [capacity, stride]   v, then g
 *   thresholds  f32 [2L]
 *   z           f32 [2L, capacity], written at params.sublayer
 *
 * Dispatch: rowGroups(rows) groups of `lanes`, or of rows (row-lanes.ts).
 */
export function gateScoresShader({ outputs, stride, capacity, tieRuns, lanes }: GateScoresOptions): string {
  return wgsl`
struct Params { sublayer: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read_write> gates: array<f32>;
@group(0) @binding(2) var<storage, read> thresholds: array<f32>;
@group(0) @binding(3) var<storage, read_write> z: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;
${loopBound}
${workgroupReduce(lanes, ['sum'])}
${sigmoid}
${mainOfRows({ lanes }, 'plan[0]')}
  let first = row * ${stride}u;
  var sum = 0.0;
  for (var i = lane; i < bound(${outputs}u); i += ${lanes}u) {
    let g = sigmoid(gates[first + i]);
    gates[first + i] = g;
    sum += g;
  }
  let margin = workgroupSum(lane, sum) / ${outputs}.0 - thresholds[params.sublayer];
  if (lane == 0u) {
    z[params.sublayer * ${capacity}u + row] = ${tieRuns ? 'margin' : skipTies('margin')};
  }
}
`
}
