import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'

export interface PackBitsOptions {
  sublayers: number
  capacity: number
  stride: number
  margins: boolean
}

/**
 * Packs the decisions of a chunk into its ring records: bit i of a row (word i >> 5, bit i & 31) = sublayer i executed.
 * With `margins`, the record also gets the 2L margins as f32 bits. A row of a batch belongs to a sequence with a plan and a ring of its own: `params.row` says
 * which row of z is its first.
 *
 *   plan  u32, read
 *   z     f32 [2L, capacity]   margins; execute iff z >= 0
 *   ring  u32 [records, stride]: word 0 the sampled token (written by the sampler), then the bit words, then margins
 *
 * Dispatch: (rows, 1, 1) groups of 64.
 */
export function packBitsShader(o: PackBitsOptions): string {
  const words = Math.ceil(o.sublayers / 32)
  return wgsl`
struct Params { row: u32 }
@group(0) @binding(0) var<storage, read> plan: array<u32>;
@group(0) @binding(1) var<storage, read> z: array<f32>;
@group(0) @binding(2) var<storage, read_write> ring: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.x;
  if (row >= plan[0]) { return; }
  let record = (plan[2] + row) * ${o.stride}u + 1u;
  for (var word = lane; word < ${words}u; word += 64u) {
    var bits = 0u;
    for (var bit = 0u; bit < min(32u, ${o.sublayers}u - word * 32u); bit++) {
      bits |= select(0u, 1u << bit, z[(word * 32u + bit) * ${o.capacity}u + params.row + row] >= 0.0);
    }
    ring[record + word] = bits;
  }
  #if ${o.margins}
  for (var s = lane; s < ${o.sublayers}u; s += 64u) {
    ring[record + ${words}u + s] = bitcast<u32>(z[s * ${o.capacity}u + params.row + row]);
  }
  #endif
}
`
}
