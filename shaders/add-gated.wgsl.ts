import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { loopBound, planRows, type Rows } from './snippets/plan.js'

export interface AddGatedOptions {
  /** vec4s of a row. */
  d4: number
  /** A gate has a number for every channel, or one for all. */
  gate: 'vector' | 'scalar'
  rows: Rows
  /** Of all rows, those that run alone (z >= 0): the masked control. */
  masked: boolean
}

/**
 * What a gated sublayer adds to the residual stream: x[r] += (offset + gain · g[r]) ⊙ branch[i], for r = rowAt(i).
 *
 *   plan    u32, read
 *   branch  f32 [capacity, d4] of four, in the order of the rows that run
 *   gates   f32 [capacity, d4] of four, or [capacity]
 *   x       f32 [capacity, d4] of four, changed
 *   z       f32, margins at params.z, for the masked control only
 *
 * Dispatch: (rows, 1, 1) groups of 64.
 */
export function addGatedShader({ d4, gate, rows, masked }: AddGatedOptions): string {
  const vector = gate === 'vector'
  return wgsl`
struct Params { slot: u32, z: u32, offset: f32, gain: f32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> branch: array<vec4f>;
@group(0) @binding(2) var<storage, read> gates: array<${vector ? 'vec4f' : 'f32'}>;
@group(0) @binding(3) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(4) var<uniform> params: Params;
#if ${masked}
@group(0) @binding(5) var<storage, read> z: array<f32>;
#endif
${planRows(rows)}
${loopBound}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  if (group.x >= rowCount()) { return; }
  let row = rowAt(group.x);
  #if ${masked}
  if (z[params.z + row] < 0.0) { return; }
  #endif
  for (var i = lane; i < bound(${d4}u); i += 64u) {
    let g = ${vector ? `gates[row * ${d4}u + i]` : 'vec4f(gates[row])'};
    x[row * ${d4}u + i] += (params.offset + params.gain * g) * branch[group.x * ${d4}u + i];
  }
}
`
}
