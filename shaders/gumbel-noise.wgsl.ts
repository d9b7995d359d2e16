import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { gumbel, pcgHash } from './snippets/random.js'

/** Values of a row of groups: more of them than one dimension of a dispatch holds go on in the next. */
export const GUMBEL_ROW = 64 * 32768

/**
 * Standard Gumbel noise that depends on nothing but a seed and a counter: noise[i] = gumbel(hash(seed, counter, i)).
 *
 *   seed   u32 (seed, counter)
 *   noise  f32 [params.count], written
 *
 * Dispatch: (min(ceil(count / 64), 32768), ceil(count / (64 · 32768)), 1) groups of 64.
 */
export function gumbelNoiseShader(): string {
  return wgsl`
struct Params { count: u32 }
@group(0) @binding(0) var<storage, read> seed: vec2u;
@group(0) @binding(1) var<storage, read_write> noise: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;
${pcgHash}
${gumbel}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.y * ${GUMBEL_ROW}u + id.x;
  if (i >= params.count) { return; }
  noise[i] = gumbel(pcgHash(seed.x, seed.y, i));
}
`
}
