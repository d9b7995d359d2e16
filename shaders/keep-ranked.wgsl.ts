import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { planRows } from './snippets/plan.js'
import { stepSettings } from './snippets/step-settings.js'

/**
 * Which rows of a batch run a sublayer: all but the share 1 − executeRate with the lowest scores, to the nearest row. Of equal scores the earlier row is
 * the lower one, so that the number of rows is exact. A row's rank is the number of rows below it, counted: batches of training are small.
 *
 *   plan      u32, read
 *   settings  see snippets/step-settings.ts
 *   scores    f32 [capacity]
 *   kept      f32 [sublayers, capacity], written at params.sublayer: 1 or 0
 *
 * Dispatch: (ceil(rows / 64), 1, 1) groups of 64.
 */
export function keepRankedShader({ capacity }: { capacity: number }): string {
  return wgsl`
${stepSettings}
struct Params { sublayer: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> settings: StepSettings;
@group(0) @binding(2) var<storage, read> scores: array<f32>;
@group(0) @binding(3) var<storage, read_write> kept: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;
${planRows('all')}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x;
  let rows = rowCount();
  if (row >= rows) { return; }
  let score = scores[row];
  var rank = 0u;
  for (var other = 0u; other < rows; other++) {
    let s = scores[other];
    rank += select(0u, 1u, s < score || (s == score && other < row));
  }
  let skipped = u32(floor((1.0 - settings.executeRate) * f32(rows) + 0.5));
  kept[params.sublayer * ${capacity}u + row] = select(0.0, 1.0, rank >= skipped);
}
`
}
