import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'

/**
 * Brings what a sequence has decided once for all of its tokens into its row of a batch.
 *
 *   own  f32 [2L, capacity], read   margins of the sequence, of which row 0 counts
 *   z    f32 [2L, capacity], written at params.row
 *
 * Dispatch: one group of 64.
 */
export function carryMarginsShader({
  sublayers,
  capacity,
}: {
  readonly sublayers: number
  readonly capacity: number
}): string {
  return wgsl`
struct Params { row: u32 }
@group(0) @binding(0) var<storage, read> own: array<f32>;
@group(0) @binding(1) var<storage, read_write> z: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) {
  for (var s = lane; s < ${sublayers}u; s += 64u) { z[s * ${capacity}u + params.row] = own[s * ${capacity}u]; }
}
`
}
