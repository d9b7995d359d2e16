import { wgsl } from 'wgsl-preprocessor/wgsl-preprocessor.js'
import { type FloatWeightDtype, readStored, type StoredOptions } from './snippets/stored.js'

export interface MaterialiseOptions extends StoredOptions {
  to: FloatWeightDtype
}

/**
 * Turns a weight matrix as it was stored into a float form that the kernels read: another dtype, rows padded to a multiple
 * of four, and a LoRA adapter merged, W + scale · B A, in f32 before the cast (Hu et al. 2021).
 *
 *   source  u32   rows of k values: f32, two 16-bit values per word, or blocks (snippets/weights.ts)
 *   words   u32   rows of 4 · k4 values, rows params.targetRow .. written
 *   loraA   f32 [rank, k]
 *   loraB   f32 [rows, rank]
 *
 * Dispatch: (ceil(k4 / 64), min(rows, 65535), 1) groups of 64; invocations stride over rows.
 */
export function materialiseShader(o: MaterialiseOptions): string {
  return wgsl`
struct Params { rows: u32, k: u32, k4: u32, targetRow: u32, rank: u32, scale: f32, rowStep: u32 }
@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read_write> words: array<u32>;
@group(0) @binding(2) var<storage, read> loraA: array<f32>;
@group(0) @binding(3) var<storage, read> loraB: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

${readStored(o)}
#if ${o.to === 'bf16'}
// Round to nearest even: the upper half of the word after adding what rounding carries.
fn half(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  return (bits + 0x7fffu + ((bits >> 16u) & 1u)) >> 16u;
}
#endif

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= params.k4) { return; }
  for (var row = id.y; row < params.rows; row += params.rowStep) {
    let v = vec4f(stored(row, id.x * 4u), stored(row, id.x * 4u + 1u), stored(row, id.x * 4u + 2u), stored(row, id.x * 4u + 3u));
    let cell = (params.targetRow + row) * params.k4 + id.x;
    #if ${o.to === 'f32'}
    for (var c = 0u; c < 4u; c++) { words[cell * 4u + c] = bitcast<u32>(v[c]); }
    #elif ${o.to === 'f16'}
    // Values beyond the range of f16 are indeterminate in pack2x16float.
    let safe = clamp(v, vec4f(-65504.0), vec4f(65504.0));
    words[cell * 2u] = pack2x16float(safe.xy);
    words[cell * 2u + 1u] = pack2x16float(safe.zw);
    #else
    words[cell * 2u] = half(v.x) | (half(v.y) << 16u);
    words[cell * 2u + 1u] = half(v.z) | (half(v.w) << 16u);
    #endif
  }
}
`
}
