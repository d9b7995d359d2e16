import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { type Positions, positionOf } from './snippets/plan.js'
import { pcgHash } from './snippets/random.js'
import { storeScore } from './snippets/score.js'

export interface ForcedMaskOptions {
  capacity: number
  count: 1 | 2
  writesPlan: boolean
  positions: Positions
}

/**
 * Decisions by lot, for tests and benchmarks: the score of (sublayer, position) is a uniform number in [0, 1), and the
 * threshold is the share to skip. The same seed gives the same mask in prefill and in decode.
 *
 *   plan        u32; written where writesPlan, else read
 *   thresholds  f32 [2L]   share to skip
 *   z           f32 [2L, capacity], written
 *
 * Dispatch: (ceil(rows / 64), 1, 1) groups of 64.
 */
export function forcedMaskShader(o: ForcedMaskOptions): string {
  return wgsl`
struct Params { sublayer: u32, seed: u32 }
@group(0) @binding(0) var<storage, ${o.writesPlan ? 'read_write' : 'read'}> plan: array<u32>;
@group(0) @binding(1) var<storage, read> thresholds: array<f32>;
@group(0) @binding(2) var<storage, read_write> z: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;
${pcgHash}
${storeScore(o)}
${positionOf(o.positions)}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x;
  if (row >= ${o.writesPlan ? '1u' : 'plan[0]'}) { return; }
  for (var s = 0u; s < ${o.count}u; s++) {
    let sublayer = params.sublayer + s;
    storeScore(sublayer, row, uniform24(pcgHash(params.seed, positionOf(row), sublayer)));
  }
}
`
}
