import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { skipTies } from './gate-scores.wgsl.js'
import { loopBound } from './snippets/plan.js'

const LANES = 256

/**
 * Margins against the quantile of the rows themselves (GateSkip, arXiv 2510.13876): z − τ, with τ the share-quantile of z over the rows, between neighbours by
 * linear interpolation. A row at τ skips. One row alone keeps its margin: it has no quantile. A row's rank is the number of rows below it, counted; of equal
 * ones the earlier is the lower.
 *
 *   plan  u32, read
 *   z     f32 [2L, capacity], read and written at params.sublayer
 *
 * Dispatch: one group of 256.
 */
export function quantileMarginsShader({ capacity }: { readonly capacity: number }): string {
  return wgsl`
struct Params { sublayer: u32, share: f32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read_write> z: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;
${loopBound}
var<workgroup> low: f32;
var<workgroup> high: f32;

@compute @workgroup_size(${LANES})
fn main(@builtin(local_invocation_index) lane: u32) {
  let rows = plan[0];
  if (rows < 2u) { return; }
  let first = params.sublayer * ${capacity}u;
  let at = params.share * f32(rows - 1u);
  for (var row = lane; row < bound(rows); row += ${LANES}u) {
    let score = z[first + row];
    var rank = 0u;
    for (var other = 0u; other < bound(rows); other++) {
      let s = z[first + other];
      rank += select(0u, 1u, s < score || (s == score && other < row));
    }
    if (rank == u32(floor(at))) { low = score; }
    if (rank == u32(ceil(at))) { high = score; }
  }
  // Rows are written when everybody has read them.
  storageBarrier();
  workgroupBarrier();
  let tau = low + (high - low) * fract(at);
  for (var row = lane; row < bound(rows); row += ${LANES}u) {
    let margin = z[first + row] - tau;
    z[first + row] = ${skipTies('margin')};
  }
}
`
}
