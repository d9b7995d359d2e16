import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { readWeights, type WeightDtype, weightElement } from './snippets/weights.js'

export interface EmbedOptions {
  width4: number
  stride4: number
  dtype: WeightDtype
}

/**
 * Token embedding: x[row] = table[ids[row]].
 *
 *   plan   u32, read     rows in the chunk (see snippets/plan.ts)
 *   ids    u32 [capacity]
 *   table  [vocab, stride4] of four weights each, in any dtype
 *   x      f32 [capacity, d], written
 *
 * Dispatch: (ceil(d / 4 / 64), rows, 1) groups of 64.
 */
export function embedShader(o: EmbedOptions): string {
  return wgsl`
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> ids: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<${weightElement(o.dtype)}>;
@group(0) @binding(3) var<storage, read_write> x: array<vec4f>;
${readWeights(o.dtype, o.stride4, 'table')}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.y;
  if (row >= plan[0] || id.x >= ${o.width4}u) { return; }
  x[row * ${o.width4}u + id.x] = weight(weightStart(ids[row]), id.x);
}
`
}
