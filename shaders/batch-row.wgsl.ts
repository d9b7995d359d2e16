import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'

/**
 * Brings a sequence into its row of a batch: the token that it sampled last, and the position that this token takes.
 *
 *   own       u32, read      plan of the sequence; start is the position
 *   ownIds    u32, read      ids[0] = the token
 *   plan      u32            plan of the batch; the row's position is written
 *   ids       u32 [rows]     the row's token is written
 *
 * Dispatch: one group of one invocation. A sequence that has ended stays where it is: its row is computed, and goes nowhere.
 */
export function batchRowShader({ firstWord }: { readonly firstWord: number }): string {
  return wgsl`
struct Params { row: u32 }
@group(0) @binding(0) var<storage, read> own: array<u32>;
@group(0) @binding(1) var<storage, read> ownIds: array<u32>;
@group(0) @binding(2) var<storage, read_write> plan: array<u32>;
@group(0) @binding(3) var<storage, read_write> ids: array<u32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(1)
fn main() {
  plan[${firstWord}u + params.row] = own[1];
  ids[params.row] = ownIds[0];
}
`
}
