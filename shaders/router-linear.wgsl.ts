import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { unroll, workgroupReduce } from './snippets/reduce.js'
import { mainOfRows, type RowLanes } from './snippets/row-lanes.js'
import { normOnTheWay, type ScoreOptions, storeScore } from './snippets/score.js'

export interface RouterOptions extends ScoreOptions, RowLanes {
  d4: number
  /** Sublayers scored by one dispatch: both of a layer, or one where they read different states. */
  count: 1 | 2
}

/**
 * SkipGPT's linear routers (arXiv 2506.04179), folded: z = (w0 − w1) · x + (b0 − b1) − δ, in f32 on the raw residual.
 *
 *   plan        u32; written where writesPlan, else read
 *   x           f32 [capacity, d]   residual stream at the point where the routers read it
 *   routers     f32, per sublayer at params.weights + i · params.stride: [d] weights, then the bias (units of 4)
 *   thresholds  f32 [2L]   δ per sublayer
 *   z           f32 [2L, capacity], written
 *   vectors     f32, with a norm: its weights at params.norm (units of 4)
 *   u           f32 [capacity, d], with a norm: written
 *
 * Dispatch: rowGroups(rows) groups of `lanes`, or of rows (row-lanes.ts).
 */
export function routerLinearShader(o: RouterOptions): string {
  const each = (line: (s: number) => string) => unroll(o.count, line)
  return wgsl`
struct Params { sublayer: u32, weights: u32, stride: u32, d4: u32, norm: u32 }
@group(0) @binding(0) var<storage, ${o.writesPlan ? 'read_write' : 'read'}> plan: array<u32>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> routers: array<vec4f>;
@group(0) @binding(3) var<storage, read> thresholds: array<f32>;
@group(0) @binding(4) var<storage, read_write> z: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;
${workgroupReduce(o.lanes, ['sum'])}
${storeScore(o)}
${normOnTheWay(o, 6)}
${mainOfRows(o, o.writesPlan ? '1u' : 'plan[0]')}
  ${each((s) => `let first${s} = params.weights + ${s}u * params.stride; var dots${s} = vec4f();`)}
  var squares = 0.0;
  for (var i = lane; i < params.d4; i += ${o.lanes}u) {
    let v = x[row * ${o.d4}u + i];
    ${o.norm ? 'squares += dot(v, v);' : ''}
    ${each((s) => `dots${s} = fma(routers[first${s} + i], v, dots${s});`)}
  }
  ${o.norm ? 'scaleRow(lane, row, row, squares);' : ''}
  ${each(
    (
      s,
    ) => `let score${s} = workgroupSum(lane, dots${s}.x + dots${s}.y + dots${s}.z + dots${s}.w) + routers[first${s} + ${o.d4}u].x;
  if (lane == 0u) { storeScore(params.sublayer + ${s}u, row, score${s}); }`,
  )}
}
`
}
