import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { type Positions, positionOf } from './snippets/plan.js'
import { pcgHash } from './snippets/random.js'
import { workgroupReduce } from './snippets/reduce.js'
import { mainOfRows, type RowLanes } from './snippets/row-lanes.js'
import { normOnTheWay, type ScoreOptions, storeScore } from './snippets/score.js'

export interface ForcedMaskOptions extends ScoreOptions, RowLanes {
  d4: number
  count: 1 | 2
  positions: Positions
}

/**
 * Decisions by lot, for tests and benchmarks: the score of (sublayer, position) is a uniform number in [0, 1), and the
 * threshold is the share to skip. The same seed gives the same mask in prefill and in decode.
 *
 *   plan        u32; written where writesPlan, else read
 *   thresholds  f32 [2L]   share to skip
 *   z           f32 [2L, capacity], written
 *   x, vectors, u  as in router-linear, with a norm
 *
 * Dispatch: rowGroups(rows) groups of `lanes`, or of rows (row-lanes.ts).
 */
export function forcedMaskShader(o: ForcedMaskOptions): string {
  return wgsl`
struct Params { sublayer: u32, seed: u32, norm: u32 }
@group(0) @binding(0) var<storage, ${o.writesPlan ? 'read_write' : 'read'}> plan: array<u32>;
@group(0) @binding(1) var<storage, read> thresholds: array<f32>;
@group(0) @binding(2) var<storage, read_write> z: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;
${pcgHash}
${storeScore(o)}
${positionOf(o.positions)}
#if ${o.norm !== undefined}
@group(0) @binding(4) var<storage, read> x: array<vec4f>;
${workgroupReduce(o.lanes, ['sum'])}
${normOnTheWay(o, 5)}
#endif
${mainOfRows(o, o.writesPlan ? '1u' : 'plan[0]')}
  ${o.norm ? 'normaliseRow(lane, row, row);' : ''}
  if (lane > 0u) { return; }
  for (var s = 0u; s < ${o.count}u; s++) {
    let sublayer = params.sublayer + s;
    storeScore(sublayer, row, uniform24(pcgHash(params.seed, positionOf(row), sublayer)));
  }
}
`
}
